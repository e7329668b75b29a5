"""JSON about the step from paper to live."""

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router, Status

from accounts.auth import TokenAuth, actor_of
from bots import promotion
from bots.api.callers import caller_of, own_run
from bots.schemas import StatusOut
from exchanges.queries import key_of
from exchanges.schemas import Body, ObjectId

router = Router(tags=["Bots"])


class PromoteIn(Body):
    exchange_key_id: ObjectId


@router.post("/api/v1/bot/{id}/promote", auth=TokenAuth("trade"), response={201: StatusOut})
def promote_bot(
    request: HttpRequest,
    id: str,  # noqa: A002 - the contract's word
    body: PromoteIn,
    response: HttpResponse,
) -> Status[object]:
    """Start the paper run again with real money; 422 `not_ready` names every condition that is not met."""
    run = own_run(request, id)
    key = key_of(caller_of(request).user, body.exchange_key_id)
    live = promotion.promote(run, key, timezone.now(), actor_of(request))
    response["Location"] = f"/bot/status/{live.pk}"
    return Status(201, {"bot_run_id": live.pk, "status": live.status})
