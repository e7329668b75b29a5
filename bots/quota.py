"""How many long jobs of one kind a user may have waiting or running."""

from typing import Any

from django.db.models import QuerySet

from accounts.models import User
from bots.lifecycle import Conflict


def require_room(
    user_id: int, unfinished: QuerySet[Any], most: int, what: str, way: str = "wait or cancel one"
) -> None:
    """In the transaction that adds a job: of two requests at once, only one takes the last place. Raises Conflict."""
    # Who asks at the same time waits here until the job is there to be counted.
    User.objects.select_for_update(no_key=True).get(pk=user_id)
    if unfinished.count() >= most:
        raise Conflict(f"too_many_{what}", f"Expected at most {most} unfinished; {way}.")
