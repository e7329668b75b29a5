import pytest

from accounts.audit import CONSOLE
from bots import lifecycle
from bots.models import BotRun
from bots.testing import start_run


def test_the_chart_has_candles_indicators_and_the_bots_trades(alices, traded, stage):
    # The recording lies years back; a chart that ends with its run shows it.
    BotRun.objects.update(stopped_at=stage.closes(9))
    chart = alices.get(f"/app/bots/{traded.pk}/chart.json").json()
    assert len(chart["candles"]) == len(stage.candles)
    assert chart["panes"][0]["name"] == "volume"
    assert len(chart["panes"][0]["values"]) == len(chart["candles"])
    assert [(mark["side"], mark["price"]) for mark in chart["markers"]] == [("buy", 104.0), ("sell", 107.0)]
    assert chart["entry_price"] is None


def test_an_open_position_draws_its_entry(alices, holding):
    assert alices.get(f"/app/bots/{holding.pk}/chart.json").json()["entry_price"] == 104.0


def test_an_oscillator_gets_a_pane_with_its_thresholds_and_an_average_lies_over_the_price(alices, alice):
    rsi = start_run(alice, strategy="rsi_cross", params={"oversold": 25})
    ema = start_run(alice, strategy="ema_cross")
    panes = alices.get(f"/app/bots/{rsi.pk}/chart.json").json()["panes"]
    assert {line["label"]: line["value"] for line in panes[0]["lines"]} == {"oversold": 25.0, "overbought": 70.0}
    assert all(value is not None for value in panes[0]["values"])
    chart = alices.get(f"/app/bots/{ema.pk}/chart.json").json()
    assert len(chart["overlays"]) == 2
    assert chart["panes"] == []


@pytest.mark.parametrize(("count", "shown"), [("20", 20), ("999999", 300), ("5000", 1000), ("x", 300)])
def test_the_number_of_candles_is_bounded(count, shown, alices, alice):
    run = start_run(alice, strategy="rsi_cross")
    assert len(alices.get(f"/app/bots/{run.pk}/chart.json", {"count": count}).json()["candles"]) == shown


def test_a_stopped_bots_chart_ends_with_it(alices, alice):
    run = start_run(alice, strategy="rsi_cross")
    lifecycle.stop(run, "keep", run.started_at, CONSOLE)
    last = alices.get(f"/app/bots/{run.pk}/chart.json").json()["candles"][-1][0]
    assert last < run.started_at.timestamp()


def test_an_exchange_that_is_down_is_a_sentence(alices, traded, stage):
    stage.down = True
    assert "could not be asked" in alices.get(f"/app/bots/{traded.pk}/chart.json").json()["trouble"]
    assert "could not be asked" in alices.get(f"/app/bots/{traded.pk}/candles/").content.decode()


def test_a_strategy_that_is_gone_leaves_the_candles(alices, alice):
    run = start_run(alice, strategy="rsi_cross")
    BotRun.objects.filter(pk=run.pk).update(params={"unknown": 1})
    chart = alices.get(f"/app/bots/{run.pk}/chart.json").json()
    assert len(chart["candles"]) == 300
    assert chart["panes"] == []


def test_the_table_says_the_same_as_the_chart(alices, traded, stage):
    BotRun.objects.update(stopped_at=stage.closes(9))
    page = alices.get(f"/app/bots/{traded.pk}/candles/").content.decode()
    assert "▲ Buy" in page
    assert "at 104.00" in page
