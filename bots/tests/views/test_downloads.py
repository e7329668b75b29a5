"""The pages of downloads: asked for by a form, watched by polls, canceled and gone on with by buttons."""

import pytest

from bots import downloads, research_tasks
from bots.models import CandleDownload, JobState
from exchanges import candle_store
from exchanges.core.errors import Unavailable

FORM = "/app/candles/download/"
WANTED = {"exchange": "demo", "symbol": "eth/usdt", "timeframe": "1m", "since": "2026-01-01", "until": "2026-01-02"}


@pytest.fixture
def rung(monkeypatch):
    heard = []
    monkeypatch.setattr(research_tasks, "ring", lambda task, pk: heard.append((task, pk)))
    return heard


@pytest.fixture
def row(alices, rung):
    alices.post(FORM, WANTED)
    return CandleDownload.objects.get()


def page_of(row, suffix=""):
    return f"/app/candles/downloads/{row.pk}/{suffix}"


def test_form_is_for_who_is_logged_in_and_filled_in_by_a_link(client, alices):
    assert client.get(FORM).url == f"/app/account/login/?next={FORM}"
    page = alices.get(f"{FORM}?exchange=kraken&symbol=BTC/EUR&timeframe=4h&since=2024-01-01").content.decode()
    assert '<option value="kraken" selected>' in page
    assert 'value="BTC/EUR"' in page
    assert "5,000,000 of 5,000,000 candles are left" in page


def test_button_downloads_and_the_page_shows_how_far_it_is(alices, rung):
    answer = alices.post(FORM, WANTED)
    row = CandleDownload.objects.get()
    assert answer.url == page_of(row)
    assert rung == [(research_tasks.research_download, row.pk)]
    page = alices.get(page_of(row)).content.decode()
    assert "Waiting for a worker" in page
    row.state, row.phase, row.progress, row.added, row.pages = JobState.RUNNING, "downloading", 40, 576, 1
    row.candles_per_second, row.started_at = 48.0, row.created_at
    row.save()
    page = alices.get(page_of(row)).content.decode()
    for shown in ("Downloading", "40 %", "576 candles stored", "48 candles per second", "about 18 s left", "Cancel"):
        assert shown in page
    CandleDownload.objects.update(state=JobState.QUEUED)
    research_tasks.research_download(row.pk)
    page = alices.get(page_of(row)).content.decode()
    assert "candles were added" in page
    assert "Backtest on these" in page
    assert candle_store.coverage("demo", "ETH/USDT", "1m").candles == 1_440
    assert "Your downloads" in alices.get("/app/candles/").content.decode()


def test_poll_answers_only_what_is_new(alices, row):
    first = alices.get(page_of(row), headers={"hx-request": "true"})
    version = first.context["live_url"].split("v=")[1]
    assert alices.get(f"{page_of(row)}?v={version}", headers={"hx-request": "true"}).status_code == 204
    CandleDownload.objects.update(state=JobState.RUNNING, progress=3)
    assert alices.get(f"{page_of(row)}?v={version}", headers={"hx-request": "true"}).status_code == 200


def test_trouble_is_told_while_it_waits_and_when_it_gives_up(alices, row):
    CandleDownload.objects.update(state=JobState.RUNNING, error="binance did not answer.")
    page = alices.get(page_of(row)).content.decode()
    assert "binance did not answer. It is tried again" in page
    CandleDownload.objects.update(state=JobState.FAILED, finished_at=row.created_at)
    page = alices.get(page_of(row)).content.decode()
    assert 'role="alert"' in page
    assert "Go on from there" in page


def test_buttons_cancel_and_resume(alices, row, rung):
    assert alices.post(page_of(row, "cancel/")).url == page_of(row)
    assert "Canceled" in alices.get(page_of(row)).content.decode()
    alices.post(page_of(row, "resume/"))
    row.refresh_from_db()
    assert row.state == "queued"
    assert len(rung) == 2
    answer = alices.post(page_of(row, "resume/"), follow=True)
    assert "Nothing was started" in answer.content.decode()


def test_strangers_download_is_not_there(client, bobs, row):
    for suffix in ("", "cancel/", "resume/"):
        ask = bobs.post if suffix else bobs.get
        assert ask(page_of(row, suffix)).status_code == 404
        assert client.post(page_of(row, suffix)).status_code == 302
    assert bobs.get(page_of(row, "cancel/")).status_code == 405
    row.refresh_from_db()
    assert row.state == "queued"


@pytest.mark.parametrize(
    ("changed", "field", "said"),
    [
        ({"exchange": "mtgox"}, "exchange", "not one of the available choices"),
        ({"symbol": "FOO/BAR"}, "symbol", "demo lists no"),
        ({"symbol": "FOO"}, "symbol", "Expected a symbol such as"),
        ({"since": "soon"}, "since", "Expected an ISO-8601 time"),
        ({"since": ""}, "since", "required"),
        ({"until": "2025-01-01"}, "until", "holds a closed candle"),
        ({"timeframe": "7m"}, "timeframe", "not one of the available choices"),
    ],
)
def test_wrong_entry_is_named_at_its_field_and_kept(changed, field, said, alices, rung):
    answer = alices.post(FORM, {**WANTED, **changed})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert said in page
    assert field in answer.context["form"].errors
    assert 'value="2026-01-02"' in page or "until" in changed
    assert rung == []
    assert not CandleDownload.objects.exists()


def test_timeframe_that_an_exchange_does_not_offer_is_named(alices, rung, monkeypatch):
    monkeypatch.setattr("exchanges.market_data.timeframes", lambda exchange: ["1h"])
    answer = alices.post(FORM, WANTED)
    assert "Expected one of 1h on demo" in answer.content.decode()
    assert "timeframe" in answer.context["form"].errors


def test_exchange_that_cannot_be_asked_is_told_and_nothing_is_queued(alices, rung, monkeypatch):
    def away(*args):
        raise Unavailable("demo did not answer.")

    monkeypatch.setattr("exchanges.market_data.market", away)
    answer = alices.post(FORM, WANTED)
    assert (answer.status_code, rung) == (422, [])
    assert "The exchange could not be asked: demo did not answer." in answer.content.decode()


def test_full_quota_is_told_on_the_form(alices, rung):
    for timeframe in ("1m", "5m", "15m"):
        alices.post(FORM, {**WANTED, "timeframe": timeframe})
    answer = alices.post(FORM, {**WANTED, "timeframe": "1h"})
    assert answer.status_code == 422
    assert f"at most {downloads.QUOTA} unfinished" in answer.content.decode()
