"""Cases: where the exchange's books and ours came apart, the evidence, and what a person may do."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts.auth import actor_of, signed_in, user_of
from bots import cases as writes
from bots.cases import Recheck, Verdict
from bots.forms import CaseFilterForm, ResolveForm
from bots.queries import cases
from bots.queries.cases import CaseFilter
from bots.views.shell import PER_PAGE, cursor, found_or_404, live_page

SAID = {
    Verdict.STANDS: "The exchange was asked: the disagreement still stands.",
    Verdict.AGREES: "The exchange was asked: the books agree now. The case stays open until you resolve it.",
    Verdict.NOT_COMPARED: "This could not be compared now: no bot of the account is active, an order is in flight, or "
    "the exchange wants no requests at the moment.",
}


@signed_in
@require_GET
def case_list(request: HttpRequest) -> HttpResponse:
    """Open ones first is what the filter is for; without one the newest come first."""
    user, at = user_of(request), timezone.now()
    form = CaseFilterForm(request.GET, cases.accounts_of(user))
    form.is_valid()
    page = cases.cases_of(user, CaseFilter(**form.given), limit=PER_PAGE, before=cursor(request))
    return live_page(request, "case_list", {"at": at, "form": form, "page": page, "filtered": any(form.given.values())})


@signed_in
@require_GET
def case_page(request: HttpRequest, case_id: int) -> HttpResponse:
    return _page(request, case_id, ResolveForm())


@signed_in
@require_POST
def case_resolve(request: HttpRequest, case_id: int) -> HttpResponse:
    """With a note for the log; what the account may do again is said in the answer."""
    user, form = user_of(request), ResolveForm(request.POST)
    case = found_or_404(lambda: cases.case_model(user, case_id))
    if not form.is_valid():
        return _page(request, case_id, form, status=422)
    note, accept = form.cleaned_data["note"], form.cleaned_data["accept"]
    try:
        writes.resolve(case, note, timezone.now(), actor_of(request), accept=accept)
    except writes.CaseResolved:
        messages.info(request, f"Case {case_id} was resolved before; nothing was changed.")
    except writes.NothingToAccept as refused:
        form.add_error("accept", refused.detail)
        return _page(request, case_id, form, status=422)
    else:
        messages.success(request, f"Case {case_id} is resolved. {_released(case_id, request)}")
    return redirect("bots_case", case_id)


@signed_in
@require_POST
def case_recheck(request: HttpRequest, case_id: int) -> HttpResponse:
    """Asks the exchange at once; trades nothing."""
    case = found_or_404(lambda: cases.case_model(user_of(request), case_id))
    _tell(request, writes.recheck(case, timezone.now()))
    return redirect("bots_case", case_id)


def _page(request: HttpRequest, case_id: int, form: ResolveForm, status: int = 200) -> HttpResponse:
    user = user_of(request)
    evidence = found_or_404(lambda: cases.evidence_of(cases.case_model(user, case_id)))
    context = {"at": timezone.now(), "evidence": evidence, "case": evidence.case, "form": form}
    return render(request, "bots/case_detail.html", context, status=status)


def _released(case_id: int, request: HttpRequest) -> str:
    evidence = cases.evidence_of(cases.case_model(user_of(request), case_id))
    if evidence.gate == "ACTIVE":
        return "No case holds the account any more."
    return f"The account stays {evidence.gate.lower()}: another case is open."


def _tell(request: HttpRequest, done: Recheck) -> None:
    add = messages.success if done.verdict == Verdict.AGREES else messages.warning
    counted = f" {done.orders} orders were looked at, {done.fills} fills booked." if done.orders or done.fills else ""
    add(request, f"{SAID[done.verdict]}{counted}{''.join(f' {fault}.' for fault in done.faults)}")
