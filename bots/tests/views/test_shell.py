import re

import pytest

from bots import rounds

HTMX = {"HTTP_HX_REQUEST": "true"}


def poll_url(page: str) -> str:
    found = re.search(r'id="live" hx-get="([^"]+)"', page)
    assert found
    return found[1].replace("&amp;", "&")


@pytest.mark.parametrize("path", ["", "?tab=trades", "?tab=orders", "?tab=settings", "?show=all"])
def test_a_poll_is_silent_while_nothing_changes(path, alices, holding):
    page = alices.get(f"/app/bots/{holding.pk}/{path}").content.decode()
    url = poll_url(page)
    assert url.startswith(f"/app/bots/{holding.pk}/")
    answer = alices.get(url, **HTMX)
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("path", ["/app/", "/app/bots/", "/app/trades/", "/app/risk/"])
def test_every_live_page_answers_204(path, alices, holding):
    assert alices.get(poll_url(alices.get(path).content.decode()), **HTMX).status_code == 204


def test_a_poll_brings_the_part_alone_when_something_happened(alices, holding, stage):
    url = poll_url(alices.get(f"/app/bots/{holding.pk}/").content.decode())
    rounds.whole_round(stage.closes(5))
    rounds.whole_round(stage.closes(6))
    part = alices.get(url, **HTMX).content.decode()
    assert part.lstrip().startswith('<div id="live"')
    assert "<html" not in part
    assert "SIGNAL_SELL" in part
    assert alices.get(poll_url(part), **HTMX).status_code == 204


def test_a_poll_keeps_the_filter(alices, traded):
    url = poll_url(alices.get("/app/trades/?side=buy").content.decode())
    assert "side=buy" in url


def test_a_poll_after_the_session_reloads_the_page(client, traded):
    answer = client.get(f"/app/bots/{traded.pk}/", **HTMX)
    assert answer.headers["HX-Refresh"] == "true"


@pytest.mark.parametrize("before", ["x", "-1", "1" * 30, "²", "99999999999999999999"])
def test_a_broken_cursor_is_no_error(before, alices, traded):
    assert alices.get("/app/trades/", {"before": before}).status_code == 200
