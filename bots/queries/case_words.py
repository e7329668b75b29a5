"""A case told to a person: what happened, what to look at, and what resolving it does."""

from dataclasses import dataclass
from typing import Any

from bots.models import CaseKind


@dataclass(frozen=True, slots=True)
class Words:
    """``so``: how the two books came apart; ``check``: what the person looks at before resolving it."""

    so: str
    check: str
    resolving: str


HELD = "The account’s bots may enter again, as far as no other case or switch holds them."
WORDS = {
    CaseKind.BALANCE: Words(
        "In two passes in a row the exchange held another amount of this coin than the fold of all our fills and your "
        "own coins explain.",
        "Did somebody deposit, withdraw or trade by hand on this account? The exchange’s own history says so.",
        f"{HELD} The balances are compared as before: a difference that is still there opens a new case in two passes, "
        "about two minutes. Taking the exchange’s balance as right makes the difference count as your own coins; what "
        "the bots believe to hold does not change.",
    ),
    CaseKind.ORPHAN: Words(
        "The exchange lists an order with the tag of this installation, and our books had no row for it. A database "
        "restored from an older backup does not know its last orders.",
        "The order was adopted by the bot of its market: its fills are booked like those of any other order. Compare "
        "the bot’s position with the exchange’s before anything trades.",
        f"{HELD} The adopted order stays; an entry that still rests is called back for as long as the case is open.",
    ),
    CaseKind.LATE_ORDER: Words(
        "Our books had ended an order that the exchange lists as standing. Its fills, if any, are booked.",
        "An order that is still open at the exchange is not ours to follow any more: cancel it there.",
        f"{HELD} If the order still stands in the next pass, a new case opens.",
    ),
    CaseKind.LATE_FILL: Words(
        "An order filled after the exchange had said that it ended. The fill is booked, so that the position is right.",
        "Compare the bot’s position with the exchange’s.",
        f"{HELD} A further fill of this kind opens a new case.",
    ),
    CaseKind.OVERFILL: Words(
        "The exchange filled more than the order asked for. All of it is booked, so that the position is right.",
        "Compare the bot’s position with the exchange’s, and ask the exchange how this came about.",
        f"{HELD} A further fill of this kind opens a new case.",
    ),
    CaseKind.UNRESOLVED: Words(
        "For more than five minutes nobody could find out what became of an order. It is never sent again; the "
        "exchange is asked for it by our own id every few seconds.",
        "Look for the order in the exchange’s own history by its id. Below is what is known of it now.",
        f"{HELD} If the order is still in doubt, a new case opens at the next look, a few seconds later.",
    ),
}
HOLDS = {
    "REDUCING": "No new entries on this account; exits and stops go on.",
    "HALTED": "No orders at all on this account, not even a stop-loss.",
}


def words_of(kind: str) -> Words:
    return WORDS[CaseKind(kind)]


def told_subject(subject: str, evidence: dict[str, Any]) -> str:
    """What the case is about, short enough for a list."""
    return str(evidence.get("asset") or subject).replace(":", " ").replace("exchange order", "exchange’s order")
