"""JSON about risk: limits, which a token may only tighten, and the kill switch."""

from dataclasses import fields
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from accounts.auth import Caller, Forbidden, MissingScope, NotFound, TokenAuth, actor_of, resolve_user
from accounts.models import User
from bots import gates, operations
from bots.api.callers import caller_of
from bots.core.limits import STRICTER_WHEN_LARGER, Limits
from bots.queries import risk
from bots.queries.runs import run_model
from bots.queries.shapes import GateView, RiskView
from bots.schemas import GateOut, LimitsIn, RiskOut, SwitchIn
from exchanges.queries import key_of
from exchanges.schemas import object_id

router = Router(tags=["Risk"])


class SwitchAuth(TokenAuth):
    """The kill switch answers to whoever trades, and to the operator."""

    def __init__(self) -> None:
        super().__init__("trade")

    def authenticate(self, request: HttpRequest, token: str) -> Caller | None:
        try:
            return super().authenticate(request, token)
        except MissingScope:
            return TokenAuth("admin").authenticate(request, token)


@router.get("/api/v1/risk", auth=TokenAuth("read"), response=RiskOut)
def get_risk(request: HttpRequest) -> RiskView:
    """What may stop your orders: the switches, the limits at every level, and open incidents."""
    return risk.risk_of(caller_of(request).user)


@router.put("/api/v1/risk", auth=TokenAuth("trade"), response=RiskOut)
def put_risk(request: HttpRequest, body: LimitsIn) -> RiskView:
    """Replace your, a key's or a run's limits by stricter ones; to loosen one takes a second factor on the page."""
    user = caller_of(request).user
    target = _whose(user, body)
    operations.set_limits(body.level, target, body.limits, timezone.now(), actor_of(request), _only_tighter)
    return risk.risk_of(user)


@router.post("/api/v1/kill-switch", auth=SwitchAuth(), response=GateOut)
def switch(request: HttpRequest, body: SwitchIn) -> GateView:
    """Halt, reduce or flatten at one level, or resume; entries are off before anything is sold."""
    target = _target(caller_of(request), body)
    gates.switch(body.level, target, body.action, body.reason, timezone.now(), actor_of(request))
    return risk.gate_of(body.level, target)


def _whose(user: User, body: LimitsIn) -> int:
    """The id that the limits stand for, once it is the caller's own."""
    if body.level == "user":
        if body.target not in (None, user.pk):
            raise NotFound("There is no such object.")
        return user.pk
    wanted = object_id(body.target or 0)
    return run_model(user, wanted).pk if body.level == "run" else key_of(user, wanted).pk


def _only_tighter(before: Limits, after: Limits) -> None:
    loosened = [f.name for f in fields(Limits) if _looser(f.name, getattr(before, f.name), getattr(after, f.name))]
    if loosened:
        names = ", ".join(loosened)
        raise Forbidden("step_up_required", f"A token can only tighten limits, and this would loosen {names}.")


def _looser(name: str, before: Any, after: Any) -> bool:
    if before is None or after is None:
        return before is not None
    return bool(after < before) if name in STRICTER_WHEN_LARGER else bool(after > before)


def _target(caller: Caller, body: SwitchIn) -> int:
    """The id that the switch speaks for, once it is the caller's to switch."""
    anybody = "admin" in caller.scopes
    if body.level == "platform":
        if not anybody:
            raise MissingScope("admin")
        return 0
    if body.level == "user":
        return resolve_user(caller, "me" if body.target is None else str(body.target)).pk
    wanted = object_id(body.target or 0)
    if body.level == "run":
        return run_model(None if anybody else caller.user, wanted).pk
    return key_of(caller.user, wanted).pk
