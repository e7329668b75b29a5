"""Downloads of candles over HTTP: asked for, watched, canceled, gone on with; a stranger's are not there."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from bots import downloads, research_tasks
from bots.models import CandleDownload
from bots.tests.test_admin import root as root
from exchanges import candle_store
from tradingbot.tests.api_client import ApiClient, fields, problem

PATH = "/api/v1/candles/downloads"
WANTED = {
    "exchange": "demo",
    "symbol": "ETH/USDT",
    "timeframe": "1m",
    "since": "2026-01-01T00:00:00Z",
    "until": "2026-01-02T00:00:00Z",
}


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is this process, and does everything the moment it is rung for."""
    monkeypatch.setattr(research_tasks, "ring", lambda task, pk: task(pk))


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(research_tasks, "ring", lambda task, pk: None)


@pytest.fixture
def api(alice: User) -> ApiClient:
    return ApiClient(alice)


@pytest.mark.usefixtures("at_once")
def test_download_is_asked_for_and_read(api: ApiClient) -> None:
    answer = api.post(PATH, WANTED)
    assert answer.status_code == 202
    document = api.get(answer["Location"]).json()
    assert (document["state"], document["progress"], document["added"]) == ("done", 100.0, 1_440)
    assert (document["since"], document["until"]) == (WANTED["since"], WANTED["until"])
    assert [row["id"] for row in api.get(PATH).json()["items"]] == [document["id"]]
    known = candle_store.coverage("demo", "ETH/USDT", "1m")
    assert known is not None
    assert (known.candles, known.missing) == (1_440, 0)


@pytest.mark.usefixtures("later")
def test_download_is_canceled_and_gone_on_with(api: ApiClient) -> None:
    path = api.post(PATH, WANTED)["Location"]
    problem(api.post(f"{path}/resume"), 409, "not_resumable")
    assert api.delete(path).status_code == 204
    assert (api.get(path).json()["state"], api.get(path).json()["resumable"]) == ("canceled", True)
    resumed = api.post(f"{path}/resume")
    assert (resumed.status_code, resumed.json()["state"], resumed["Location"]) == (202, "queued", path)


@pytest.mark.usefixtures("later")
def test_full_quota_is_a_conflict_that_says_so(api: ApiClient) -> None:
    for timeframe in ("1m", "5m", "15m"):
        assert api.post(PATH, {**WANTED, "timeframe": timeframe}).status_code == 202
    refused = problem(api.post(PATH, {**WANTED, "timeframe": "1h"}), 409, "too_many_downloads")
    assert f"at most {downloads.QUOTA} unfinished" in refused["detail"]
    assert CandleDownload.objects.count() == downloads.QUOTA


@pytest.mark.usefixtures("later")
def test_download_is_its_owners(api: ApiClient, alice: User, bob: User) -> None:
    path = api.post(PATH, WANTED)["Location"]
    stranger, admin = ApiClient(bob), ApiClient(bob, "admin", "read", "trade")
    problem(stranger.get(path), 404, "not_found")
    problem(stranger.delete(path), 404, "not_found")
    problem(stranger.post(f"{path}/resume"), 404, "not_found")
    assert stranger.get(PATH).json()["items"] == []
    assert admin.get(path).status_code == 200
    problem(admin.delete(path), 404, "not_found")
    assert CandleDownload.objects.get().state == "queued"
    problem(ApiClient(alice, "read").post(PATH, WANTED), 403)
    problem(ApiClient().get(PATH), 401, "unauthorized")
    problem(ApiClient().post(PATH, WANTED), 401, "unauthorized")
    problem(api.get(f"{PATH}/99999999999999999999"), 404, "not_found")


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"exchange": "mtgox"}, "body.exchange"),
        ({"symbol": "FOO/BAR"}, "body.symbol"),
        ({"symbol": "FOO"}, "body.symbol"),
        ({"timeframe": "7m"}, "body.timeframe"),
        ({"since": "2026-01-03T00:00:00Z"}, "body.until"),
        ({"since": "yesterday"}, "body.since"),
        ({"since": "1990-01-01T00:00:00Z"}, "body.since"),
        ({"again": True}, "body.again"),
    ],
)
@pytest.mark.usefixtures("later")
def test_wrong_field_is_named_and_nothing_is_queued(api: ApiClient, changed: dict[str, Any], place: str) -> None:
    assert fields(problem(api.post(PATH, {**WANTED, **changed}), 422)) == [place]
    assert not CandleDownload.objects.exists()


@pytest.mark.usefixtures("at_once")
def test_operator_cancels_and_goes_on_in_the_admin(api: ApiClient, root: Client) -> None:
    api.post(PATH, WANTED)
    row = CandleDownload.objects.get()
    CandleDownload.objects.update(state="queued", finished_at=None)
    table = reverse("admin:bots_candledownload_changelist")
    assert "ETH/USDT" in root.get(table).content.decode()
    for action, state in (("cancel", "canceled"), ("resume", "done")):
        root.post(table, {"action": action, "_selected_action": [row.pk]})
        row.refresh_from_db()
        assert row.state == state
    answer = root.post(table, {"action": "resume", "_selected_action": [row.pk]}, follow=True)
    assert "Expected a download that failed or was canceled" in answer.content.decode()
