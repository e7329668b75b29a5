"""Starting, pausing and stopping runs: what is refused, with which code, and that nothing is half-written."""

from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from django.test import override_settings

from accounts.audit import CONSOLE
from accounts.models import AuditEntry, User
from bots import arming, gates, lifecycle, rounds
from bots.lifecycle import Conflict, ExchangeDown, Invalid, NotPermitted, StartRefused, WrongStatus
from bots.models import Arming, BotRun, Level, Mode, Status, TradingAccount
from bots.queries.keys import key_in_use
from bots.testing import START, Stage, start_run
from exchanges import connect
from exchanges import operations as keys
from exchanges.core.errors import Unavailable
from exchanges.core.orders import Balance
from exchanges.models import ExchangeKey, SimulatedWallet


def make_key(owner: User, **facts: Any) -> ExchangeKey:
    sealed = {"encrypted_key": "x", "iv_key": "x", "encrypted_secret": "x", "iv_secret": "x", "key_id": "00000000"}
    plain = {"exchange": "binance", "permissions": "trade", "can_withdraw": False, "last_checked_at": START}
    return ExchangeKey.objects.create(
        owner=owner, created_at=START, api_key_hint="abcd", **{**sealed, **plain, "fingerprint": "f", **facts}
    )


class Funded:
    """An account that has so much free quote."""

    def __init__(self, free: D) -> None:
        self.free = free

    def fetch_balances(self) -> dict[str, Balance]:
        return {"USDT": Balance(self.free, D(0))}


def start_live(user: User, key: ExchangeKey, **wanted: Any) -> BotRun:
    return start_run(user, exchange="binance", mode="live", exchange_key_id=key.pk, **wanted)


def test_a_paper_run_gets_an_account_and_a_wallet_of_its_own(alice: User, stage: Stage) -> None:
    first, second = start_run(alice), start_run(alice)
    assert first.status == Status.STARTING
    assert first.account != second.account
    assert SimulatedWallet.objects.filter(deposit=1000).count() == 2
    assert AuditEntry.objects.filter(action="run.started").count() == 2


@pytest.mark.parametrize(
    ("wanted", "code", "field"),
    [
        ({"strategy": "nope"}, "unknown_strategy", "strategy"),
        ({"symbol": "FOO/BAR"}, "unknown_symbol", "symbol"),
        ({"timeframe": "7m"}, "unknown_timeframe", "timeframe"),
        ({"timeframe": "1h"}, "unknown_timeframe", "timeframe"),
        ({"mode": "virtual"}, "invalid_mode", "mode"),
        ({"params": {"x": 1}}, "invalid_params", "params.x"),
        ({"strategy": "rsi_cross", "params": {"rsi_period": 0}}, "invalid_params", "params.rsi_period"),
        ({"limits": {"max_loss": "1"}}, "invalid_limits", "limits.max_loss"),
        ({"capital": D(0)}, "invalid_capital", "capital"),
        ({"capital": D("-5")}, "invalid_capital", "capital"),
        ({"capital": D("NaN")}, "invalid_capital", "capital"),
        ({"capital": D("5.004")}, "invalid_capital", "capital"),
        ({"capital": D("1e15")}, "invalid_capital", "capital"),
    ],
)
def test_a_wrong_wish_is_named_and_nothing_is_written(
    alice: User, stage: Stage, wanted: dict[str, Any], code: str, field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        start_run(alice, **wanted)
    assert caught.value.code == code
    assert field in caught.value.errors
    assert not BotRun.objects.exists()
    assert not TradingAccount.objects.exists()
    assert not SimulatedWallet.objects.exists()


def test_an_unknown_exchange_is_named(alice: User) -> None:
    with pytest.raises(Invalid) as caught:
        start_run(alice, exchange="mtgox")
    assert caught.value.code == "unknown_exchange"


def test_a_strategy_table_that_was_never_synced_is_synced_by_the_first_start(alice: User, stage: Stage) -> None:
    from strategies.models import Strategy

    Strategy.objects.all().delete()
    assert start_run(alice).strategy.name == "scripted"


def test_a_strategy_that_is_switched_off_starts_nothing(alice: User, stage: Stage) -> None:
    from strategies.models import Strategy

    Strategy.objects.filter(name="scripted").update(enabled=False)
    with pytest.raises(Invalid) as caught:
        start_run(alice)
    assert caught.value.code == "strategy_disabled"


def test_an_exchange_that_is_down_starts_nothing(alice: User, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(exchange: str, symbol: str, at: object) -> None:
        raise Unavailable("no answer")

    monkeypatch.setattr(lifecycle.market_data, "market", refuse)
    with pytest.raises(ExchangeDown):
        start_run(alice)
    assert not BotRun.objects.exists()


# --- live ---------------------------------------------------------------------------------------


@pytest.fixture
def funded(monkeypatch: pytest.MonkeyPatch) -> Funded:
    account = Funded(D(1500))
    monkeypatch.setattr(connect, "open_exchange", lambda key, at, purpose: account)
    return account


def test_live_is_refused_while_the_platform_does_not_allow_it(alice: User, stage: Stage, funded: Funded) -> None:
    with pytest.raises(NotPermitted) as caught:
        start_live(alice, make_key(alice))
    assert caught.value.code == "live_disabled"
    assert not BotRun.objects.exists()


FACTORS = {
    "PAPER_ONLY": {"permissions": "unverified"},
    "KEY_CAN_WITHDRAW": {"can_withdraw": True},
    "KEY_CHECK_STALE": {"last_checked_at": START - timedelta(hours=25)},
}


@override_settings(LIVE_TRADING=True)
@pytest.mark.parametrize("code", FACTORS)
def test_live_is_refused_for_a_key_that_may_not_trade(alice: User, stage: Stage, funded: Funded, code: str) -> None:
    key = make_key(alice, **FACTORS[code])
    Arming.objects.create(key=key, user=alice, by="page", armed_at=START, expires_at=START + timedelta(days=7))
    with pytest.raises(NotPermitted) as caught:
        start_live(alice, key)
    assert caught.value.code == code.lower()


@override_settings(LIVE_TRADING=True)
def test_live_needs_an_arming_that_has_not_expired(alice: User, stage: Stage, funded: Funded) -> None:
    key = make_key(alice)
    with pytest.raises(NotPermitted) as caught:
        start_live(alice, key)
    assert caught.value.code == "not_armed"
    arming.arm(key, "page", START - timedelta(days=8), CONSOLE)
    with pytest.raises(NotPermitted) as caught:
        start_live(alice, key)
    assert caught.value.code == "not_armed"
    arming.arm(key, "page", START, CONSOLE)
    assert start_live(alice, key).mode == Mode.LIVE


@override_settings(LIVE_TRADING=True)
def test_live_needs_a_key_of_ones_own_on_that_exchange(alice: User, bob: User, stage: Stage, funded: Funded) -> None:
    with pytest.raises(Invalid) as missing:
        start_run(alice, exchange="binance", mode="live")
    assert missing.value.code == "key_required"
    for key in (
        make_key(bob),
        make_key(alice, exchange="kraken"),
        make_key(alice, fingerprint="g", encrypted_secret="", deleted_at=START),
    ):
        with pytest.raises(Invalid) as foreign:
            start_live(alice, key)
        assert foreign.value.code == "unknown_key"


@override_settings(LIVE_TRADING=True)
def test_a_key_that_is_deleted_during_the_start_starts_nothing(
    alice: User, stage: Stage, funded: Funded, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make_key(alice)
    arming.arm(key, "page", START, CONSOLE)

    def balances_while_the_key_goes() -> dict[str, Balance]:
        keys.delete_key(key, START, CONSOLE, in_use=key_in_use)
        return {"USDT": Balance(D(1500), D(0))}

    monkeypatch.setattr(funded, "fetch_balances", balances_while_the_key_goes)
    with pytest.raises(Invalid) as gone:
        start_live(alice, key)
    assert gone.value.code == "unknown_key"
    assert not BotRun.objects.exists()
    assert not TradingAccount.objects.exists()


@override_settings(LIVE_TRADING=True)
def test_two_live_runs_never_count_the_same_money_or_symbol(alice: User, stage: Stage, funded: Funded) -> None:
    key = make_key(alice)
    arming.arm(key, "page", START, CONSOLE)
    start_live(alice, key)
    with pytest.raises(Invalid) as poor:
        start_live(alice, key, capital=D(501))
    assert poor.value.code == "insufficient_funds"
    with pytest.raises(Conflict) as twice:
        start_live(alice, key, capital=D(500))
    assert twice.value.code == "already_running"
    assert BotRun.objects.count() == 1


@override_settings(LIVE_TRADING=True)
def test_a_live_run_in_error_keeps_its_place_until_it_is_stopped(alice: User, stage: Stage, funded: Funded) -> None:
    key = make_key(alice)
    arming.arm(key, "page", START, CONSOLE)
    failed = start_live(alice, key, capital=D(100))
    BotRun.objects.update(status=Status.ERROR)
    with pytest.raises(Conflict) as taken:
        start_live(alice, key, capital=D(100))
    assert taken.value.code == "already_running"
    assert lifecycle.stop(failed, "keep", START, CONSOLE).status == Status.STOPPED
    assert start_live(alice, key, capital=D(100)).status == Status.STARTING


def test_arming_refuses_keys_that_may_not_trade(alice: User) -> None:
    wrong = ({"can_withdraw": True}, {"permissions": "read"}, {"deleted_at": START, "encrypted_secret": ""})
    for number, facts in enumerate(wrong):
        with pytest.raises(arming.ArmingRefused):
            arming.arm(make_key(alice, fingerprint=f"f{number}", **facts), "page", START, CONSOLE)


def test_disarming_ends_an_arming_once(alice: User) -> None:
    key = make_key(alice)
    arming.arm(key, "page", START, CONSOLE)
    assert arming.disarm(key, "test", START, CONSOLE)
    assert not arming.disarm(key, "test", START, CONSOLE)


# --- pause, resume, stop ------------------------------------------------------------------------


def test_pause_and_resume_are_idempotent_and_audited(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    for _ in range(2):
        run = lifecycle.pause(run, START, CONSOLE)
    assert run.status == Status.PAUSED
    for _ in range(2):
        run = lifecycle.resume(run, START, CONSOLE)
    assert run.status == Status.RUNNING
    assert AuditEntry.objects.filter(action__in=["run.paused", "run.resumed"]).count() == 2


def test_a_stopped_run_cannot_be_paused_or_resumed(alice: User, stage: Stage) -> None:
    run = lifecycle.stop(start_run(alice), "keep", START, CONSOLE)
    for change in (lifecycle.pause, lifecycle.resume):
        with pytest.raises(WrongStatus):
            change(run, START, CONSOLE)


def test_stopping_twice_is_stopping_once(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    for _ in range(2):
        run = lifecycle.stop(run, "keep", START, CONSOLE)
    assert (run.status, run.stopped_at) == (Status.STOPPED, START)
    assert AuditEntry.objects.filter(action="run.stopping").count() == 1


def test_a_stop_keeps_the_position_or_sells_it_first(alice: User, stage: Stage) -> None:
    keeping, closing = start_run(alice), start_run(alice)
    for index in range(5):
        rounds.whole_round(stage.closes(index))
    at = stage.closes(5)
    keeping = lifecycle.stop(keeping, "keep", at, CONSOLE)
    closing = lifecycle.stop(closing, "close", at, CONSOLE)
    assert (keeping.status, closing.status) == (Status.STOPPED, Status.STOPPING)
    assert keeping.held > 0
    rounds.whole_round(at)
    closing.refresh_from_db()
    assert (closing.status, closing.held) == (Status.STOPPED, 0)
    assert closing.trades.filter(side="sell").count() == 1


def test_a_stop_may_still_ask_to_sell(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    for index in range(4):
        rounds.whole_round(stage.closes(index))
    stage.down = True
    run = lifecycle.stop(run, "close", stage.closes(4), CONSOLE)
    assert lifecycle.stop(run, "keep", stage.closes(4), CONSOLE).close_requested
    rounds.whole_round(stage.closes(4))
    run.refresh_from_db()
    assert (run.status, run.held > 0) == (Status.STOPPING, True)
    stage.down = False
    rounds.whole_round(stage.closes(5))
    run.refresh_from_db()
    assert (run.status, run.held) == (Status.STOPPED, 0)


def test_an_end_waits_for_who_asks_at_that_moment_to_sell_first(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    for index in range(5):
        rounds.whole_round(stage.closes(index))
    BotRun.objects.update(status=Status.STOPPING)
    seen = BotRun.objects.get()
    gates.switch(Level.RUN, run.pk, "flatten", "market crash", stage.closes(5), CONSOLE)
    assert not lifecycle.finish_stop(seen, stage.closes(5))
    rounds.whole_round(stage.closes(5))
    run.refresh_from_db()
    assert (run.status, run.held) == (Status.STOPPED, 0)


def test_a_stop_wants_to_know_what_to_do_with_the_position(alice: User, stage: Stage) -> None:
    with pytest.raises(ValueError, match="on_open_position"):
        lifecycle.stop(start_run(alice), "sell", START, CONSOLE)


def test_refusals_carry_code_detail_and_errors() -> None:
    refusal = StartRefused("code", "detail", {"field": "expected"})
    assert (refusal.code, str(refusal), refusal.errors) == ("code", "detail", {"field": "expected"})
