"""The seed's JSON about exchange keys; here because only runs know whether a key is in use."""

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router, Status

from accounts.auth import Caller, TokenAuth, actor_of, resolve_user
from bots.queries.keys import key_in_use
from exchanges import operations, queries
from exchanges.schemas import KeyIn, KeyOut, Listing, object_id

router = Router(tags=["Exchange keys"])


class KeysOut(Listing[KeyOut]):
    pass


@router.post("/exchange/keys", auth=TokenAuth("keys"), response={201: KeyOut})
def add_key(request: HttpRequest, body: KeyIn, response: HttpResponse) -> Status[object]:
    """Store a key, encrypted, after asking its exchange what it may do; one that can withdraw is refused."""
    caller: Caller = request.auth  # type: ignore[attr-defined]
    key = operations.add_key(
        caller.user,
        body.exchange,
        body.api_key,
        body.api_secret,
        body.passphrase or "",
        body.label or "",
        at=timezone.now(),
        actor=actor_of(request),
    )
    return Status(201, queries.view_of(key))


# One template for both: of two, the first would answer every method of the second with 405.
@router.get("/exchange/keys/{id}", auth=TokenAuth("read"), response=KeysOut)
def list_keys(request: HttpRequest, id: str) -> dict[str, object]:  # noqa: A002 - the contract's word
    """The keys of a user: `me` or an id."""
    return {"items": queries.keys_of(resolve_user(request.auth, id))}  # type: ignore[attr-defined]


@router.delete("/exchange/keys/{id}", auth=TokenAuth("keys"), response={204: None})
def delete_key(request: HttpRequest, id: str) -> Status[None]:  # noqa: A002 - the contract's word
    """Erase a key; 409 while a run uses it."""
    key = queries.key_of(request.auth.user, object_id(id))  # type: ignore[attr-defined]
    operations.delete_key(key, timezone.now(), actor_of(request), in_use=key_in_use)
    return Status(204, None)
