import asyncio
import csv
from decimal import Decimal as D

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient

from bots.csv_answer import TRADE_COLUMNS, trade_lines
from bots.models import TradeLog
from bots.queries.shapes import TradeView
from bots.testing import START


def text(response) -> str:
    return response.content.decode()


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("", 2),
        ("side=buy", 1),
        ("symbol=btc/usdt", 2),
        ("symbol=ETH/USDT", 0),
        ("mode=live", 0),
        ("bot_run_id=999", 0),
        ("since=2024-01-15", 2),
        ("since=2024-01-16", 0),
        ("until=2024-01-15", 0),
        ("side=sideways&since=yesterday", 2),
    ],
)
def test_the_address_filters_list_and_csv_alike(query, rows, alices, traded):
    page = text(alices.get(f"/app/trades/?{query}"))
    assert page.count('data-label="Side"') == rows
    file = alices.get(f"/app/trades/trades.csv?{query}").getvalue().decode()
    assert len(file.splitlines()) == rows + 1


def test_totals_are_those_of_the_filter(alices, traded):
    sell = TradeLog.objects.get(side="sell")
    page = text(alices.get("/app/trades/"))
    assert "Totals of all trades" in page
    assert f"{sell.pnl:+.2f}" in page
    assert "Totals of this filter" in text(alices.get("/app/trades/?side=buy"))


def test_a_profit_says_its_sign(alices, traded):
    assert 'class="gain"' in text(alices.get("/app/trades/?side=sell"))


def test_csv_has_the_apis_names_and_plain_numbers(alices, traded):
    answer = alices.get("/app/trades/trades.csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(answer.getvalue().decode().splitlines()))
    assert list(rows[0]) == list(TRADE_COLUMNS)
    sell, buy = rows
    assert (sell["side"], sell["price"], buy["price"], buy["pnl"]) == ("sell", "107", "104", "")
    assert sell["executed_at"] == "2024-01-15T00:07:00Z"


def test_csv_does_not_hand_a_spreadsheet_a_formula():
    row = TradeView(1, 1, "=cmd()", "buy", D(1), D("1E-8"), D(0), "USDT", D("-1"), "+1", START, "paper", "USDT")
    found = next(iter(csv.DictReader("".join(trade_lines([row])).splitlines())))
    assert (found["symbol"], found["order_client_id"]) == ("'=cmd()", "'+1")
    assert (found["price"], found["pnl"]) == ("0.00000001", "-1")


@pytest.mark.django_db(transaction=True)
def test_csv_streams_under_asgi(alice, traded):
    async def fetched() -> bytes:
        client = AsyncClient()
        await client.aforce_login(alice)
        answer = await client.get("/app/trades/trades.csv")
        content = b"".join([block async for block in answer])
        # The thread that read for it lives on; its connection would hold the test database.
        await sync_to_async(connections.close_all)()
        return content

    assert len(asyncio.run(fetched()).splitlines()) == 3


def test_older_trades_are_a_page_further(alices, traded):
    newest = TradeLog.objects.first()
    page = text(alices.get("/app/trades/", {"before": newest.pk}))
    assert page.count('data-label="Side"') == 1
    assert "Newest" in page
