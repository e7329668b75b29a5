"""The pages of sweeps: asked for, watched, ranked with their doubts, and nobody else's."""

import pytest

from accounts.models import User
from bots import research_tasks, sweeps
from bots.core.result_pack import unpack_document
from bots.forms_research import listed
from bots.models import BotRun, JobState, Sweep
from bots.tests.research_cast import AT, GIVEN, GRID, actor, stored, ticking

FORM = {
    "strategy": "rsi_cross",
    "exchange": "binance",
    "symbol": "BTC/USDT",
    "timeframe": "1h",
    "capital": "1000",
    "fee": "0.1",
    "objective": "return_pct",
    "grid_rsi_period": "6 to 14 step 4",
    "grid_oversold": "25, 30",
    "grid_limits.stop_loss_pct": "2.5, 5",
    "least_trades": "1",
    "folds": "2",
    "in_sample": "60",
}


@pytest.fixture(autouse=True)
def rung(monkeypatch) -> list[int]:
    told: list[int] = []
    monkeypatch.setattr(research_tasks, "ring", lambda task, pk: told.append(pk))
    return told


def made(user: User, **plan: object) -> Sweep:
    return sweeps.submit(user, {**GIVEN, "grid": GRID, "objective": "return_pct", **plan}, AT, actor(user))


def done(user: User, **plan: object) -> Sweep:
    row = made(user, **plan)
    assert sweeps.work(row.pk, ticking(0.001))
    row.refresh_from_db()
    assert row.state == JobState.DONE
    return row


@pytest.mark.parametrize("page", ["/app/sweeps/", "/app/sweeps/new/"])
def test_a_page_is_for_who_is_logged_in(page, client, alices):
    assert client.get(page).url == f"/app/account/login/?next={page}"
    assert alices.get(page).status_code == 200


def test_a_sweep_is_its_owners(client, alice, alices, bobs):
    stored(400)
    row = made(alice)
    page = f"/app/sweeps/{row.pk}/"
    assert client.get(page).status_code == 302
    assert bobs.get(page).status_code == 404
    assert bobs.post(f"{page}cancel/").status_code == 404
    assert alices.get(f"{page}cancel/").status_code == 405
    row.refresh_from_db()
    assert row.state == JobState.QUEUED


def test_the_form_submits_lists_and_steps(alices, alice, rung):
    stored(400)
    answer = alices.post("/app/sweeps/new/", FORM)
    row = Sweep.objects.get(owner=alice)
    assert answer.url == f"/app/sweeps/{row.pk}/"
    assert row.plan["grid"] == {"rsi_period": [6, 10, 14], "oversold": [25, 30], "limits.stop_loss_pct": ["2.5", "5"]}
    assert row.plan["constraints"] == {"closed_trades": {"min": 1.0}}
    assert row.plan["walk_forward"] == {"folds": 2, "in_sample": 0.6}
    assert set(rung) == {row.pk}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"grid_rsi_period": "1, 2"}, "id_grid_rsi_period"),
        ({"grid_rsi_period": "a lot"}, "id_grid_rsi_period"),
        ({"grid_rsi_period": "5 to 2 step 1"}, "Expected min"),
        ({"grid_rsi_period": "", "grid_oversold": "", "grid_limits.stop_loss_pct": ""}, "at least one parameter"),
        ({"grid_limits.stop_loss_pct": "200"}, "stop_loss_pct"),
        ({"folds": "99"}, "id_folds"),
        ({"in_sample": "5"}, "id_in_sample"),
        ({"objective": "luck"}, "Select a valid choice"),
        ({"exchange": "kraken"}, "import or download them first"),
    ],
)
def test_a_mistake_is_named_and_the_entries_are_kept(changed, said, alices):
    stored(400)
    answer = alices.post("/app/sweeps/new/", {**FORM, "param_overbought": "71.5", **changed})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert said in page
    assert 'value="71.5"' in page
    assert not Sweep.objects.exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10, 14,20", [10, 14, 20]),
        ("session_utc, rolling", ["session_utc", "rolling"]),
        ("true, False", [True, False]),
        ("10 to 30 step 5", {"min": "10", "max": "30", "step": "5"}),
        ("0.5 .. 2 by 0.5", {"min": "0.5", "max": "2", "step": "0.5"}),
    ],
)
def test_values_are_read_as_people_write_them(text, expected):
    assert listed(text) == expected


def test_progress_is_told_and_canceled(alices, alice):
    stored(400)
    row = made(alice)
    assert "Waiting for a worker" in alices.get(f"/app/sweeps/{row.pk}/").content.decode()
    alices.post(f"/app/sweeps/{row.pk}/cancel/")
    page = alices.get(f"/app/sweeps/{row.pk}/").content.decode()
    assert "Canceled" in page
    assert "grid_rsi_period=6%2C+10%2C+14" in page


def test_a_sweep_is_edited_with_everything_it_was_asked_for(alices, alice):
    stored(400)
    row = made(alice, constraints={"closed_trades": {"min": 3}}, walk_forward={"folds": 3, "in_sample": 0.6})
    link = alices.get(f"/app/sweeps/{row.pk}/").context["again_query"]
    page = alices.get(f"/app/sweeps/new/?{link}").content.decode()
    for entry in (
        'value="6, 10, 14"',
        'name="folds" value="3"',
        'name="in_sample" value="60"',
        'name="least_trades" value="3"',
    ):
        assert entry in page


def test_the_report_ranks_doubts_and_leads_on(alices, alice):
    stored()
    row = done(alice, walk_forward={"folds": 2, "in_sample": 0.6})
    answer = alices.get(f"/app/sweeps/{row.pk}/")
    page = answer.content.decode()
    rows = unpack_document(row.result)["rows"]
    assert "Before you believe the first row" in page
    assert "Walk forward" in page
    assert page.count('<span class="visually-hidden"> rank ') == len(rows) == 12
    assert page.count("tint-heat") >= 6
    assert "style=" not in page
    first = answer.context["rows"][0]
    form = alices.get(f"/app/backtests/new/?{first.query}").content.decode()
    assert f'name="param_rsi_period" value="{rows[0]["params"]["rsi_period"]}"' in form
    bot = alices.post("/app/bots/new/", first.paper).content.decode()
    assert f'name="param_oversold" value="{rows[0]["params"]["oversold"]}"' in bot
    assert not BotRun.objects.exists()


def test_the_heatmap_has_the_axes_that_were_asked_for(alices, alice):
    stored()
    row = done(alice)
    heat = alices.get(f"/app/sweeps/{row.pk}/?x=overbought&y=oversold").context
    assert (heat["across"], heat["down"], list(heat["heat"].across)) == ("overbought", "oversold", [65, 70])
    nonsense = alices.get(f"/app/sweeps/{row.pk}/?x=nope&y=nope&after=99999").context
    assert (nonsense["across"], nonsense["down"], nonsense["rows"]) == ("rsi_period", "oversold", [])


def test_one_parameter_has_no_heatmap_and_none_qualifying_says_so(alices, alice):
    stored(400)
    one = done(alice, grid={"rsi_period": [6, 10]})
    assert alices.get(f"/app/sweeps/{one.pk}/").context["heat"] is None
    none = done(alice, constraints={"closed_trades": {"min": 1000}})
    page = alices.get(f"/app/sweeps/{none.pk}/").content.decode()
    assert "No set qualifies" in page


def test_the_list_costs_the_same_for_one_as_for_many(alices, alice, django_assert_num_queries):
    stored(400)
    made(alice)
    alices.get("/app/sweeps/")
    with django_assert_num_queries(4):
        alices.get("/app/sweeps/")
    for _ in range(3):
        made(alice)
    with django_assert_num_queries(4):
        assert alices.get("/app/sweeps/").content.decode().count("Queued") == 4
