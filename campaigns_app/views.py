"""Pages: campaigns, one campaign, one enrollment, the ledger; and what a person does on them."""

from __future__ import annotations

from django.core import signing
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import urlencode
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns_app import ledger, replies, selectors, sending
from campaigns_app.models import Enrollment, InboundEvent, Touch
from campaigns_app.steering import ACTIONS
from feedback_app.selectors import for_runs
from platform_site.lib.access import needs

PAGE_SIZE = 100
UNREAD_SHOWN = 20


@needs("campaigns_app.view_campaign")
@require_GET
def campaign_list(request: HttpRequest) -> HttpResponse:
    invariants = ledger.invariants()
    return render(
        request,
        "campaigns/list.html",
        {
            "campaigns": selectors.campaigns(),
            "violations": sum(each.count for each in invariants),
            "unread": selectors.unread()[:UNREAD_SHOWN],
        },
    )


@needs("campaigns_app.view_campaign")
@require_GET
def campaign_detail(request: HttpRequest, slug: str) -> HttpResponse:
    campaign = get_object_or_404(selectors.campaigns(), slug=slug)
    status = request.GET.get("status", "")
    if status not in Enrollment.Status.values:
        status = ""
    q = request.GET.get("q", "")
    rows = selectors.enrollments(campaign, status=status, q=q)
    context = {
        "campaign": campaign,
        "page": Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page")),
        "status": status,
        "q": q,
        "statuses": Enrollment.Status.values,
        "actions": ACTIONS,
        "unread": selectors.unread(campaign)[:UNREAD_SHOWN],
        "filter": urlencode({"status": status, "q": q}),
    }
    return render(request, "campaigns/detail.html", context)


@needs("campaigns_app.view_enrollment")
@require_GET
def enrollment_detail(request: HttpRequest, pk: str) -> HttpResponse:
    return render_enrollment(request, pk)


def render_enrollment(request: HttpRequest, pk: str) -> HttpResponse:
    page = selectors.enrollment_page(pk)
    if page is None:
        raise Http404
    template = "campaigns/enrollment.html"
    if request.headers.get("HX-Request") and not request.headers.get("HX-Boosted"):
        template += "#body"
    feedback = for_runs([touch.langsmith_run_id for touch in page.touches])
    response = render(request, template, {"page": page, "feedback": feedback})
    response["Vary"] = "HX-Request"
    return response


@needs("campaigns_app.add_inboundevent")
@require_POST
def mark_reply(request: HttpRequest, pk: str) -> HttpResponse:
    """A person saw the answer: stop the sequence and credit the run that wrote the mail.

    The event id is made from the touch, so pressing twice records one reply.
    """
    touch = get_object_or_404(Touch.objects.select_related("enrollment"), pk=pk)
    replies.record_event(
        kind=InboundEvent.Kind.REPLY,
        touch=touch,
        source_event_id=f"mark-reply:{touch.pk}",
        text=request.POST.get("text", "")[:20_000].replace("\x00", ""),
        actor=request.user.get_username(),
    )
    if request.headers.get("HX-Request"):
        return render_enrollment(request, str(touch.enrollment_id))
    return redirect("campaigns:enrollment", pk=touch.enrollment_id)


@needs("campaigns_app.view_touch")
@require_GET
def touch_of_run(request: HttpRequest, run_id: str) -> HttpResponse:
    """From a run to the mail it became: a link for htmx (empty when there is none), else its enrollment's page."""
    touch = selectors.touches_of_runs([str(run_id)]).get(str(run_id))
    if not request.headers.get("HX-Request"):
        if touch is None:
            raise Http404("This run wrote no mail of a campaign.")
        return redirect("campaigns:enrollment", pk=touch.enrollment_id)
    return render(request, "campaigns/_touch_link.html", {"touch": touch})


@needs("campaigns_app.view_touch")
@require_GET
def ledger_page(request: HttpRequest) -> HttpResponse:
    return render(request, "campaigns/ledger.html", {"invariants": ledger.invariants()})


@csrf_exempt  # RFC 8058: the mail provider posts without cookie or token; the signed link is the authority
@require_http_methods(["GET", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    try:
        touch = get_object_or_404(
            Touch.objects.select_related("enrollment__contact"), pk=sending.touch_id_of(token)
        )
    except signing.BadSignature as error:
        raise Http404 from error
    if request.method == "POST":
        replies.record_event(
            kind=InboundEvent.Kind.UNSUBSCRIBE, touch=touch, source_event_id=f"unsubscribe:{touch.pk}"
        )
    return render(request, "campaigns/unsubscribe.html", {"done": request.method == "POST", "token": token})
