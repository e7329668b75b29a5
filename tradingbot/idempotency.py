"""Idempotency-Key: a POST that is repeated because its answer was lost gets the first answer, and no second effect."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.auth import Caller
from tradingbot.models import IdempotencyRecord
from tradingbot.problems import Problem, Refusal

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replay"
KEY = re.compile(r"[\x21-\x7e]{1,255}")
LIFE = timedelta(hours=24)
#: A request that has not ended by then never will: its process died.
ABANDONED = timedelta(seconds=60)
View = Callable[..., Any]


def idempotent(view: View) -> View:
    """Around an operation, behind its authentication and validation: claims the key, or answers for it."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        key = request.headers.get(HEADER)
        if request.method != "POST" or key is None:
            return view(request, *args, **kwargs)
        caller: Caller = request.auth  # type: ignore[attr-defined]
        record, mine = claim(
            caller.user.pk, request.path[:200], _checked(key), fingerprint(request.body), timezone.now()
        )
        if not mine:
            return replay(record)
        request.idempotency_record = record  # type: ignore[attr-defined]
        return view(request, *args, **kwargs)

    return guarded


def remembering(run: View) -> View:
    """Around a whole operation: keeps the answer of a request that `idempotent` let through."""

    @wraps(run)
    def finished(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        response = run(request, *args, **kwargs)
        record = getattr(request, "idempotency_record", None)
        if record is not None:
            remember(record, response)
        return response

    return finished


def claim(user_id: int, path: str, key: str, body_hash: str, at: datetime) -> tuple[IdempotencyRecord, bool]:
    """The record, and whether it is this request that is to do the work.

    Raises `Refusal`: 422 for another body under the same key, 409 while the first request is still running.
    """
    records = IdempotencyRecord.objects.filter(user_id=user_id)
    records.filter(started_at__lte=at - LIFE).delete()
    fresh = IdempotencyRecord(user_id=user_id, path=path, key=key, body_hash=body_hash, started_at=at)
    try:
        with transaction.atomic():
            fresh.save(force_insert=True)
    except IntegrityError:
        pass
    else:
        return fresh, True
    known = records.filter(path=path, key=key).first()
    if known is None:
        raise _running()
    if not hmac.compare_digest(known.body_hash, body_hash):
        detail = "This Idempotency-Key was used with another body; take a new one for a new request."
        raise Refusal(Problem(422, "idempotency_key_reused", detail, [_error(detail)]))
    if known.status is not None:
        return known, False
    return _taken_over(known, at), True


def replay(record: IdempotencyRecord) -> HttpResponse:
    response = HttpResponse(record.body, status=record.status or 200, content_type=record.content_type)
    if record.location:
        response["Location"] = record.location
    response[REPLAYED] = "true"
    return response


def remember(record: IdempotencyRecord, response: HttpResponse) -> None:
    """Keep the answer; a failure of ours is forgotten, so that the same key may try again."""
    # A request that was given up for dead must not overwrite what its successor answered.
    mine = IdempotencyRecord.objects.filter(pk=record.pk, started_at=record.started_at, status=None)
    if response.status_code >= 500:
        mine.delete()
        return
    mine.update(
        status=response.status_code,
        content_type=response.get("Content-Type", ""),
        location=response.get("Location", ""),
        body=response.content.decode(),
    )


def fingerprint(body: bytes) -> str:
    """A keyed hash of what the body says: neither the order of its fields nor its spaces count."""
    try:
        said = json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")).encode()
    except ValueError:
        said = body
    return hmac.new(settings.SECRET_KEY.encode(), b"idempotency " + said, hashlib.sha256).hexdigest()


def _taken_over(known: IdempotencyRecord, at: datetime) -> IdempotencyRecord:
    """A dead request's record, by compare-and-swap."""
    if at - known.started_at <= ABANDONED:
        raise _running()
    swapped = IdempotencyRecord.objects.filter(pk=known.pk, started_at=known.started_at, status=None)
    if not swapped.update(started_at=at):
        raise _running()
    known.started_at = at
    return known


def _running() -> Refusal:
    detail = "The first request with this Idempotency-Key is still running."
    return Refusal(Problem(409, "idempotency_key_running", detail, headers={"Retry-After": "1"}))


def _checked(key: str) -> str:
    if KEY.fullmatch(key):
        return key
    detail = "Expected 1 to 255 printable ASCII characters without spaces."
    raise Refusal(Problem(422, "invalid_idempotency_key", detail, [_error(detail)]))


def _error(detail: str) -> dict[str, object]:
    return {"loc": ["header", HEADER], "detail": detail}
