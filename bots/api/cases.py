"""JSON about reconciliation cases: the inbox, one with its evidence, looking again, and resolving."""

from typing import Annotated, Any, Literal

from django.core.exceptions import ObjectDoesNotExist
from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router
from pydantic import Field, StringConstraints

from accounts.auth import LARGEST_ID, NotFound, TokenAuth, actor_of
from bots import cases as writes
from bots.api.callers import caller_of
from bots.models import Incident
from bots.queries import cases
from bots.queries.cases import CaseEvidence, CaseFilter
from bots.queries.shapes import Page
from bots.schemas import CaseKind, CaseOut, FillOut, RunStatus
from exchanges.schemas import Answer, Body, Listing, Money, PageQuery, Utc, object_id

router = Router(tags=["Risk"])


class CasesOut(Listing[CaseOut]):
    pass


class PassOut(Answer):
    at: Utc
    total: Money = Field(description="What the exchange holds.")
    held: Money = Field(description="What the fold of our fills holds.")
    outside: Money = Field(description="The owner's own coins.")
    difference: Money


class HeldRunOut(Answer):
    bot_run_id: int
    symbol: str
    base: str
    status: RunStatus
    held: Money


class CaseOrderOut(Answer):
    bot_run_id: int
    client_order_id: str
    exchange_order_id: str | None
    symbol: str
    side: str
    amount: Money
    filled: Money
    state: str


class CaseEvidenceOut(Answer):
    case: CaseOut
    explanation: str
    check: str
    resolving: str
    gate: Literal["ACTIVE", "REDUCING", "HALTED"]
    gate_reason: str
    may_accept: bool
    passes: list[PassOut]
    runs: list[HeldRunOut]
    orders: list[CaseOrderOut]
    fills: list[FillOut]
    facts: dict[str, Any]


class RecheckOut(Answer):
    verdict: Literal["stands", "agrees", "not_compared"]
    orders: int
    fills: int
    faults: list[str]
    case: CaseOut


class CaseQuery(PageQuery):
    state: Literal["open", "resolved"] | None = None
    kind: CaseKind | None = None
    account_id: int | None = Field(None, ge=1, le=LARGEST_ID)


class ResolveIn(Body):
    note: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
    accept: bool = Field(False, description="Of a balance: take the exchange's word as right from here on.")


@router.get("/api/v1/cases", auth=TokenAuth("read"), response=CasesOut)
def list_cases(request: HttpRequest, query: Query[CaseQuery]) -> Page:
    """Where the exchanges' books and ours came apart, newest first."""
    wanted = CaseFilter(query.state or "", query.kind or "", query.account_id)
    return cases.cases_of(caller_of(request).user, wanted, limit=query.limit, before=query.cursor)


@router.get("/api/v1/cases/{id}", auth=TokenAuth("read"), response=CaseEvidenceOut)
def get_case(request: HttpRequest, id: str) -> CaseEvidence:  # noqa: A002 - the contract's word
    """One case with its evidence: the passes, the orders and fills concerned, and what it holds back."""
    return cases.evidence_of(_own_case(request, id))


@router.post("/api/v1/cases/{id}/resolve", auth=TokenAuth("trade"), response=CaseOut)
def resolve_case(request: HttpRequest, id: str, body: ResolveIn) -> cases.CaseView:  # noqa: A002 - as above
    """Say what was found; the account may trade again as far as nothing else holds it. Nothing is traded to repair."""
    case = writes.resolve(_own_case(request, id), body.note, timezone.now(), actor_of(request), accept=body.accept)
    return cases.case_view(case)


@router.post("/api/v1/cases/{id}/recheck", auth=TokenAuth("trade"), response=RecheckOut)
def recheck_case(request: HttpRequest, id: str) -> dict[str, object]:  # noqa: A002 - as above
    """Ask the exchange now: orders, fills and balances of the case's account. Resolves nothing by itself."""
    case = _own_case(request, id)
    done = writes.recheck(case, timezone.now())
    found = {name: getattr(done, name) for name in ("verdict", "orders", "fills", "faults")}
    return {**found, "case": cases.case_view(case)}


def _own_case(request: HttpRequest, case_id: str) -> Incident:
    try:
        return cases.case_model(caller_of(request).user, object_id(case_id))
    except ObjectDoesNotExist:
        raise NotFound("There is no such object.") from None
