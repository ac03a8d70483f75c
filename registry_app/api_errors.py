"""Refusals in one shape for the whole API: `{"detail", "field", "errors": [{"field", "message"}]}`."""

from __future__ import annotations

from json import JSONDecodeError
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist, RequestDataTooBig, ValidationError
from ninja.errors import HttpError
from ninja.errors import ValidationError as ShapeError

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from ninja import NinjaAPI


def install(api: NinjaAPI) -> None:
    """Answer bad input with 422 and the field at fault, an unknown object with 404."""

    def invalid(request: HttpRequest, error: ValidationError | type[ValidationError]) -> HttpResponse:
        return api.create_response(request, problem(_of_model(error)), status=422)

    def misshapen(request: HttpRequest, error: ShapeError | type[ShapeError]) -> HttpResponse:
        return api.create_response(request, problem(_of_shape(error)), status=422)

    def absent(request: HttpRequest, error: ObjectDoesNotExist | type[ObjectDoesNotExist]) -> HttpResponse:
        return api.create_response(request, problem([_of_path(request, error)]), status=404)

    def too_big(request: HttpRequest, error: RequestDataTooBig | type[RequestDataTooBig]) -> HttpResponse:
        most = f"The body is longer than {settings.DATA_UPLOAD_MAX_MEMORY_SIZE:,} bytes."
        return api.create_response(request, {"detail": most, "field": "body"}, status=413)

    def refused(request: HttpRequest, error: HttpError | type[HttpError]) -> HttpResponse:
        if not isinstance(error, HttpError):
            raise TypeError(error)
        body = {"detail": str(error)}
        if error.__cause__ is not None and error.status_code == 400:
            body = {"detail": f"The body is no JSON: {_position(error.__cause__)}.", "field": "body"}
        return api.create_response(request, body, status=error.status_code)

    api.add_exception_handler(HttpError, refused)
    api.add_exception_handler(ValidationError, invalid)
    api.add_exception_handler(ShapeError, misshapen)
    api.add_exception_handler(ObjectDoesNotExist, absent)
    api.add_exception_handler(RequestDataTooBig, too_big)


def problem(errors: list[dict[str, str]]) -> dict[str, Any]:
    first = errors[0]
    return {"detail": f"{first['field']}: {first['message']}", "field": first["field"], "errors": errors}


def _position(cause: BaseException) -> str:
    """Where a body stops being JSON."""
    if isinstance(cause, JSONDecodeError):
        return f"line {cause.lineno}, column {cause.colno}: {cause.msg}"
    if isinstance(cause, UnicodeDecodeError):
        return f"byte {cause.start} is not UTF-8"
    return "it is nested too deeply" if isinstance(cause, RecursionError) else type(cause).__name__


def _of_path(request: HttpRequest, error: object) -> dict[str, str]:
    """What the path names and is not there; `Pool.DoesNotExist` tells the kind."""
    kind = (error if isinstance(error, type) else type(error)).__qualname__.split(".")[0]
    named = request.resolver_match.kwargs if request.resolver_match else {}
    field, value = next(iter(named.items()), ("", ""))
    return {"field": field, "message": f"There is no {kind} {value}.".replace(" .", ".")}


def _of_model(error: object) -> list[dict[str, str]]:
    if not isinstance(error, ValidationError):
        raise TypeError(error)
    by_field = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
    return [{"field": name, "message": text} for name, texts in by_field.items() for text in texts]


def _of_shape(error: object) -> list[dict[str, str]]:
    if not isinstance(error, ShapeError):
        raise TypeError(error)
    return [
        {"field": ".".join(map(str, _field(item["loc"]))), "message": str(item["msg"])}
        for item in error.errors
    ]


def _field(place: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """A place starts with the part of the request and the operation's argument, which a query calls by its name."""
    inside = place[2:]
    return inside if inside and not (place[0] == "query" and isinstance(inside[0], int)) else place[1:]
