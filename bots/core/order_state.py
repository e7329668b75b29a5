"""The life of an order as a table: from, to, and what proves it. Nothing returns to SENDING.

The table follows NautilusTrader's order FSM (docs/concepts/execution.md) in keeping refused, unknown and
denied apart, and differs in having no way to send the same order twice.
"""

from enum import StrEnum


class OrderState(StrEnum):
    PLANNED = "PLANNED"
    SENDING = "SENDING"
    UNKNOWN = "UNKNOWN"
    OPEN = "OPEN"
    PARTIAL = "PARTIAL"
    CANCELING = "CANCELING"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    NOT_PLACED = "NOT_PLACED"
    DENIED = "DENIED"
    EXPIRED_UNSENT = "EXPIRED_UNSENT"


S = OrderState
FINAL = frozenset({S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED, S.NOT_PLACED, S.DENIED, S.EXPIRED_UNSENT})
UNSENT = frozenset({S.PLANNED, S.DENIED, S.EXPIRED_UNSENT})
#: Sent, not final: the exchange may still change it.
IN_FLIGHT = frozenset({S.SENDING, S.UNKNOWN, S.OPEN, S.PARTIAL, S.CANCELING})

TRANSITIONS: dict[OrderState, dict[OrderState, str]] = {
    S.PLANNED: {
        S.SENDING: "claimed once by compare-and-swap: the only door to the network",
        S.DENIED: "risk said no when it was asked again at the claim",
        S.EXPIRED_UNSENT: "too old to send, or the kill switch is on",
    },
    S.SENDING: {
        S.OPEN: "the reply carries an exchange id",
        S.PARTIAL: "the reply carries an exchange id and some fills",
        S.FILLED: "the reply carries an exchange id and the fills add up",
        S.CANCELED: "ended at the exchange without filling in full",
        S.EXPIRED: "ended at the exchange without filling in full",
        S.REJECTED: "a refusal on the allow-list: the exchange certainly did nothing",
        S.UNKNOWN: "any other answer, none in time, or the sender died",
    },
    S.UNKNOWN: {
        S.OPEN: "a look-up by our id found it",
        S.PARTIAL: "a look-up by our id found it",
        S.FILLED: "a look-up by our id found it and the fills add up",
        S.CANCELED: "a look-up by our id found it ended",
        S.EXPIRED: "a look-up by our id found it ended",
        S.REJECTED: "a look-up by our id found it refused",
        S.NOT_PLACED: "its absence is proved",
    },
    S.OPEN: {
        S.PARTIAL: "fills arrived",
        S.FILLED: "the fills add up",
        S.CANCELED: "the exchange says so and the fills add up to what it filled",
        S.EXPIRED: "the exchange says so and the fills add up to what it filled",
        S.CANCELING: "we asked for its cancellation",
        S.UNKNOWN: "the exchange does not find what we believed open",
    },
    S.PARTIAL: {
        S.FILLED: "the fills add up",
        S.CANCELED: "the exchange says so and the fills add up to what it filled",
        S.EXPIRED: "the exchange says so and the fills add up to what it filled",
        S.CANCELING: "we asked for its cancellation",
        S.UNKNOWN: "the exchange does not find what we believed open",
    },
    S.CANCELING: {
        S.CANCELED: "fetched after the cancel",
        S.EXPIRED: "fetched after the cancel",
        S.FILLED: "the fill came before the cancel",
        S.PARTIAL: "still open after the cancel, with fills",
        S.OPEN: "still open after the cancel",
        S.UNKNOWN: "the exchange does not find it after the cancel",
    },
    **{state: {} for state in FINAL},
}


class IllegalTransition(Exception):
    """A bug in the caller: the table has no such arrow."""


def require(from_state: OrderState, to_state: OrderState) -> None:
    if to_state not in TRANSITIONS[from_state]:
        raise IllegalTransition(
            f"Expected one of {sorted(TRANSITIONS[from_state])} after {from_state}, was {to_state}."
        )


def mermaid() -> str:
    """The table as a Mermaid state diagram, for the documents."""
    lines = ["stateDiagram-v2", "    [*] --> PLANNED"]
    for start, targets in TRANSITIONS.items():
        lines += [f"    {start} --> {end}: {why}" for end, why in targets.items()]
    lines += [f"    {state} --> [*]" for state in sorted(FINAL)]
    return "\n".join(lines)
