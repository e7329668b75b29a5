"""What can go wrong around an order request on the wire: never two orders, none lost, and the run goes on."""

import pytest

from bots.models import Incident
from exchanges.tests.loopback import Fault, Kind
from exchanges.tests.loopback.faults import clock_skew, http_error, maintenance, refusal
from tradingbot.tests.journey.desk import (
    DUST,
    ENTRY,
    EXIT,
    Desk,
)

pytestmark = pytest.mark.django_db
POST = "POST /api/v3/order"
DOUBT = "no certain answer"

#: (name, fault of the request, whether the exchange executes it, what the order ends as, words that tell why)
LUCK = {
    "connection dropped before": (Fault(Kind.DROP_BEFORE, POST), False, "NOT_PLACED", DOUBT),
    "connection dropped during": (Fault(Kind.DROP_DURING, POST), False, "NOT_PLACED", DOUBT),
    "connection dropped after": (Fault(Kind.DROP_AFTER, POST), True, "FILLED", DOUBT),
    "connection reset after": (Fault(Kind.RESET_AFTER, POST), True, "FILLED", DOUBT),
    "reply truncated": (Fault(Kind.TRUNCATE, POST), True, "FILLED", DOUBT),
    "reply empty": (Fault(Kind.EMPTY, POST), True, "FILLED", DOUBT),
    "reply malformed": (Fault(Kind.MALFORMED, POST), True, "FILLED", DOUBT),
    "502 that executed": (http_error(POST, 502, executed=True), True, "FILLED", DOUBT),
    "502 that did not": (http_error(POST, 502), False, "NOT_PLACED", "absent in"),
    "503 that executed": (http_error(POST, 503, executed=True), True, "FILLED", DOUBT),
    "503 that did not": (http_error(POST, 503), False, "NOT_PLACED", "absent in"),
    "-1006": (refusal(POST, -1006, "An unexpected response was received."), False, "NOT_PLACED", "absent in"),
    "-1007": (refusal(POST, -1007, "Timeout waiting for backend.", status=408), False, "NOT_PLACED", "absent in"),
    "-1021 outside of the window": (clock_skew(POST), False, "REJECTED", "-1021"),
    "-2010 balance": (refusal(POST, -2010, "Account has insufficient balance."), False, "REJECTED", "balance"),
    "-1013 lot size": (refusal(POST, -1013, "Filter failure: LOT_SIZE"), False, "REJECTED", "LOT_SIZE"),
    "maintenance text": (maintenance(POST, times=1), False, "NOT_PLACED", "absent in"),
    "duplicate answer to an order that stands": (Fault(Kind.DUPLICATE, POST), True, "FILLED", "knows our id"),
    "visible only after 6 s": (Fault(Kind.LAG, POST, seconds=6), True, "FILLED", "accepted"),
    "executed 8 s late": (Fault(Kind.LATE, POST, seconds=8), True, "FILLED", DOUBT),
    "half of it filled": (Fault(Kind.PARTIAL, POST, fraction="0.5"), True, "EXPIRED", "filled"),
}
#: One of each way to lose an answer, for what need not be asked of all of them.
IN_SHORT = (
    "connection dropped after",
    "502 that executed",
    "502 that did not",
    "-1021 outside of the window",
    "executed 8 s late",
    "half of it filled",
)


@pytest.mark.parametrize("name", LUCK)
def test_bad_luck_with_an_entry_ends_in_the_truth(desk: Desk, name: str) -> None:
    fault, executed, end, why = LUCK[name]
    desk.tick(0, 1)
    desk.exchange.faults.add(fault)

    desk.tick(ENTRY)
    desk.settle()

    assert desk.exchange.faults.pending() == []
    assert desk.states() == [end]
    assert desk.sides() == (["BUY"] if executed else [])
    assert why in desk.story()
    desk.check()
    desk.through(ENTRY + 1, EXIT + 1)
    assert desk.sides() == (["BUY", "SELL"] if executed else [])
    desk.check()
    assert not Incident.objects.exists()


@pytest.mark.parametrize("name", IN_SHORT)
def test_bad_luck_with_an_exit_still_gets_out(desk: Desk, name: str) -> None:
    fault, _, end, why = LUCK[name]
    desk.through(0, EXIT - 1)
    desk.exchange.faults.add(fault)

    desk.tick(EXIT)
    desk.settle()

    assert desk.states()[:2] == ["FILLED", end]
    assert why in desk.story()
    assert desk.sides().count("BUY") == 1
    desk.check()
    assert sum(desk.exchange.balances()["BTC"]) < DUST
