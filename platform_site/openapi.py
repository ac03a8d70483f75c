"""The description of /api: short operation ids, how to sign in, and the refusals every operation can answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ninja import NinjaAPI

if TYPE_CHECKING:
    from ninja.openapi.schema import OpenAPISchema
    from ninja.operation import Operation

PROBLEM = {
    "type": "object",
    "required": ["detail"],
    "properties": {
        "detail": {"type": "string", "description": "What is wrong, in a sentence."},
        "field": {"type": "string", "description": "The first field at fault; empty when it is none."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same key."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "sessionid",
        "description": "A signed-in browser; writes also need X-CSRFToken.",
    },
}
ALWAYS = {
    "401": "Neither a session nor a live key.",
    "403": "The key lacks the scope, or the account the right.",
}
WITH_INPUT = {"422": "A field is not as it must be; `field` names it."}
WITH_BODY = {"400": "The body is no JSON; `detail` says at which line and column."}
WITH_PATH = {"404": "There is no such object."}


class Api(NinjaAPI):
    """The API whose description tells its refusals."""

    def get_openapi_operation_id(self, operation: Operation) -> str:
        view = operation.view_func
        return f"{view.__module__.split('.')[0].removesuffix('_app')}_{view.__name__}"

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        schema = super().get_openapi_schema(**options)
        components = schema.setdefault("components", {})
        components.setdefault("schemas", {})["Problem"] = PROBLEM
        components["securitySchemes"] = SECURITY
        schema["security"] = [{name: []} for name in SECURITY]
        for operations in schema["paths"].values():
            for operation in operations.values():
                _add_refusals(operation)
        return schema


def _add_refusals(operation: dict[str, Any]) -> None:
    body, parameters = "requestBody" in operation, operation.get("parameters", [])
    refusals = {
        **ALWAYS,
        **(WITH_BODY if body else {}),
        **(WITH_PATH if any(item["in"] == "path" for item in parameters) else {}),
        **(WITH_INPUT if body or parameters else {}),
    }
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status, text in refusals.items():
        if int(status) not in operation["responses"]:
            operation["responses"][status] = {"description": text, "content": content}
