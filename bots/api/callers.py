"""Who calls, for the endpoints that act on runs."""

from django.http import HttpRequest

from accounts.auth import Caller
from accounts.models import User
from bots.models import BotRun
from bots.queries.runs import run_model
from exchanges.schemas import object_id


def caller_of(request: HttpRequest) -> Caller:
    caller: Caller = request.auth  # type: ignore[attr-defined]
    return caller


def reader_of(request: HttpRequest) -> User | None:
    """Whose runs may be read: one's own, and with scope admin everybody's (None)."""
    caller = caller_of(request)
    return None if "admin" in caller.scopes else caller.user


def readable_run(request: HttpRequest, run_id: str) -> BotRun:
    return run_model(reader_of(request), object_id(run_id))


def own_run(request: HttpRequest, run_id: str | int) -> BotRun:
    """A run to be changed: always one's own."""
    return run_model(caller_of(request).user, object_id(run_id))
