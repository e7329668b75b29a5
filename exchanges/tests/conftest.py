"""The loopback exchange in Binance's place, with an account that holds something."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exchanges.tests.loopback import LoopbackExchange
from exchanges.tests.loopback.wiring import in_place_of_binance

AT = datetime(2024, 2, 1, 10, 0, 1, tzinfo=UTC)


@pytest.fixture
def loopback(tmp_path: Path) -> Iterator[LoopbackExchange]:
    with in_place_of_binance(tmp_path / "books.sqlite3", AT) as exchange:
        exchange.set_price("BTC/USDT", "50000")
        exchange.deposit("USDT", "10000")
        yield exchange
