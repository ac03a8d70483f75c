"""What an operator does on pages: edit, import, steer many after seeing the count, suppress, resolve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns_app import enrolling, replies, selectors, services, steering
from campaigns_app.forms import MOST_STEPS, CampaignForm, ImportForm, StepForms, SuppressionForm
from campaigns_app.models import Campaign, Enrollment, Touch
from campaigns_app.writing import SEQUENCE_GRAPH
from contract.headers import is_uuid
from platform_site.lib.access import needs

if TYPE_CHECKING:
    import uuid

    from django.http import HttpRequest, HttpResponse, QueryDict

PAGE_SIZE = 100
NEW_STEPS: tuple[dict[str, Any], ...] = (
    {"delay": 0, "delay_unit": "hours", "same_thread": True},
    {"delay": 3, "delay_unit": "business_days", "same_thread": True},
)
changes_campaigns = needs("campaigns_app.change_campaign")


@needs("campaigns_app.add_campaign")
@require_http_methods(["GET", "POST"])
def campaign_new(request: HttpRequest) -> HttpResponse:
    return edit(request, Campaign(), NEW_STEPS)


@changes_campaigns
@require_http_methods(["GET", "POST"])
def campaign_edit(request: HttpRequest, slug: str) -> HttpResponse:
    campaign = get_object_or_404(Campaign.objects.select_related("mailbox"), slug=slug)
    fields = ("assistant_id", "delay", "delay_unit", "variants", "same_thread")
    return edit(request, campaign, tuple(campaign.steps.values(*fields)))


def edit(request: HttpRequest, campaign: Campaign, steps: tuple[dict[str, Any], ...]) -> HttpResponse:
    """Show the editor, or save what it holds. An added step is a wish, not a write."""
    new = campaign.pk is None
    initial = {"sequence_graph": SEQUENCE_GRAPH if new else campaign.sequence_graph}
    if not new:
        initial["mailbox"] = campaign.mailbox.address
    form = CampaignForm(request.POST or None, instance=campaign, initial=initial)
    forms = StepForms(with_one_more(request.POST) or None, initial=list(steps), prefix="step")
    status = 200
    if request.method == "POST" and "add" not in request.POST:
        status = 422
        if form.is_valid() and forms.is_valid() and save(form, forms, campaign):
            messages.success(request, f"Saved {campaign.name}.")
            return redirect("campaigns:detail", slug=campaign.slug)
    context = {"form": form, "steps": forms, "campaign": None if new else campaign}
    return render(request, "campaigns/edit.html", context, status=status)


def with_one_more(given: QueryDict) -> QueryDict:
    """What was posted; with another step to fill in when that was the wish."""
    if "add" not in given:
        return given
    wished = given.copy()
    count = str(wished.get("step-TOTAL_FORMS", ""))
    number = int(count) if count.isascii() and count.isdigit() and len(count) < 4 else 0
    if number < MOST_STEPS:
        wished["step-TOTAL_FORMS"] = str(number + 1)
        wished[f"step-{number}-delay"], wished[f"step-{number}-delay_unit"] = "3", "business_days"
        wished[f"step-{number}-same_thread"] = "on"
    return wished


def save(form: CampaignForm, forms: Any, campaign: Campaign) -> bool:
    """Write campaign and steps; what the service refuses is said beside the field it names."""
    steps = []
    for each in forms.forms:
        values = dict(each.cleaned_data)
        if values.pop("DELETE", False):
            continue
        steps.append(values)
    try:
        services.save_campaign(campaign=campaign, steps=steps, **form.cleaned_data)
    except ValidationError as error:
        for name, texts in error.message_dict.items():
            form.add_error(name if name in form.fields else None, texts)
        return False
    return True


@changes_campaigns
@require_http_methods(["GET", "POST"])
def campaign_import(request: HttpRequest, slug: str) -> HttpResponse:
    """Enroll from a file and report every row."""
    campaign = get_object_or_404(Campaign, slug=slug)
    form = ImportForm(request.POST or None, request.FILES or None)
    report = None
    if request.method == "POST" and form.is_valid():
        upload = form.cleaned_data["file"]
        try:
            rows = enrolling.read_csv(upload.read(enrolling.MOST_BYTES + 1))
            report = enrolling.enroll(
                campaign=campaign, rows=rows, also_elsewhere=form.cleaned_data["also_elsewhere"]
            )
        except ValidationError as error:
            for name, texts in error.message_dict.items():
                form.add_error(name if name in form.fields else None, texts)
    status = 422 if form.errors else 200
    context = {"campaign": campaign, "form": form, "report": report}
    return render(request, "campaigns/import.html", context, status=status)


@changes_campaigns
@require_http_methods(["GET", "POST"])
def campaign_act(request: HttpRequest, slug: str, action: str) -> HttpResponse:
    """GET says what would happen, POST does it."""
    campaign = get_object_or_404(Campaign.objects.select_related("mailbox"), slug=slug)
    given = request.POST if request.method == "POST" else request.GET
    status = given.get("status", "")
    one = given.get("id", "")
    person = get_object_or_404(campaign.enrollments, pk=one) if is_uuid(one) else None
    selection = steering.Selection(
        campaign,
        ids=[person.pk] if person else [],
        status=status if status in Enrollment.Status.values else "",
        q=given.get("q", ""),
    )
    if request.method == "POST":
        changed = steering.act(selection, action)
        messages.success(request, f"{action.capitalize()}: {changed} changed.")
        if person:
            return redirect("campaigns:enrollment", pk=person.pk)
        return redirect("campaigns:detail", slug=slug)
    context = {
        "campaign": campaign,
        "impact": steering.impact(selection, action),
        "selection": selection,
        "person": person,
    }
    return render(request, "campaigns/act.html", context)


@changes_campaigns
@require_http_methods(["GET", "POST"])
def campaign_start(request: HttpRequest, slug: str) -> HttpResponse:
    """Start or resume a campaign, after a look at what will go out."""
    campaign = get_object_or_404(Campaign.objects.select_related("mailbox"), slug=slug)
    error = ""
    if request.method == "POST":
        try:
            count = services.activate(campaign=campaign)
        except ValidationError as refused:
            error = " ".join(refused.messages)
        else:
            messages.success(
                request,
                f"{campaign.name} is active; {count} {'person goes' if count == 1 else 'people go'} on.",
            )
            return redirect("campaigns:detail", slug=slug)
    context = {"campaign": campaign, "preview": services.resume_preview(campaign), "error": error}
    return render(request, "campaigns/start.html", context, status=422 if error else 200)


@changes_campaigns
@require_POST
def campaign_pause(request: HttpRequest, slug: str) -> HttpResponse:
    campaign = get_object_or_404(Campaign, slug=slug)
    held = services.pause(campaign=campaign)
    messages.success(request, f"Paused; {held} {'person is' if held == 1 else 'people are'} held.")
    return redirect("campaigns:detail", slug=slug)


@needs("campaigns_app.view_suppression")
@require_GET
def suppression_list(request: HttpRequest) -> HttpResponse:
    return render_suppressions(request, SuppressionForm())


@needs("campaigns_app.add_suppression")
@require_POST
def suppression_add(request: HttpRequest) -> HttpResponse:
    form = SuppressionForm(request.POST)
    # One that is there already is no error: it is what was asked for.
    if form.is_valid() or set(form.errors) <= {"__all__"}:
        email = form.data.get("email", "").strip()
        services.suppress(email=email, reason=form.data["reason"], note=form.data.get("note", "")[:200])
        messages.success(request, f"Nothing more is sent to {email}.")
        return redirect("campaigns:suppressions")
    return render_suppressions(request, form, status=422)


@needs("campaigns_app.delete_suppression")
@require_POST
def suppression_remove(request: HttpRequest) -> HttpResponse:
    email = request.POST.get("email", "").replace("\x00", "")
    if services.unsuppress(email=email):
        messages.success(request, f"{email} may be written to again.")
    return redirect("campaigns:suppressions")


def render_suppressions(request: HttpRequest, form: SuppressionForm, status: int = 200) -> HttpResponse:
    q = request.GET.get("q", "")
    page = Paginator(selectors.suppressions(q), PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "campaigns/suppressions.html", {"page": page, "q": q, "form": form}, status=status)


@needs("campaigns_app.view_touch")
@require_GET
def outbox(request: HttpRequest) -> HttpResponse:
    status = request.GET.get("status", "")
    status = status if status in Touch.Status.values else ""
    page = Paginator(selectors.outbox(status), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"page": page, "status": status, "statuses": Touch.Status.values}
    return render(request, "campaigns/outbox.html", context)


@changes_campaigns
@require_POST
def touch_resolve(request: HttpRequest, pk: uuid.UUID, what: str) -> HttpResponse:
    """A person knows whether an unknown mail left."""
    touch = get_object_or_404(Touch, pk=pk)
    try:
        replies.resolve_touch(touch_id=pk, sent=what == "sent", actor=request.user.get_username())
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("campaigns:enrollment", pk=touch.enrollment_id)


@needs("campaigns_app.add_inboundevent")
@require_POST
def message_settle(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    """A person read a message that no graph could, or was faster."""
    event = replies.unread(pk)
    if not replies.settle_message(pk, kind=kind, actor=request.user.get_username()):
        messages.warning(request, "It was read before: see the timeline for what it was taken for.")
    return redirect("campaigns:enrollment", pk=event.touch.enrollment_id)
