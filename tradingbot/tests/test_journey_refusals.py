"""What has to be refused is refused at every door: API, page and console; and nothing reaches the exchange."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts.audit import CONSOLE
from accounts.models import User
from accounts.tests.cast import totp
from bots import arming
from bots.models import Arming, BotRun, Order, TradingAccount
from exchanges import operations as keys
from exchanges.models import ExchangeKey
from exchanges.tests.loopback import API_KEY, API_SECRET, LoopbackExchange
from exchanges.tests.loopback.wiring import in_place_of_binance
from tradingbot.tests.api_client import ApiClient
from tradingbot.tests.journey.browser import Browser, errors_on
from tradingbot.tests.journey.console import done, iso, manage
from tradingbot.tests.journey.desk import add_key, play_script, trader

pytestmark = pytest.mark.django_db
WANTED = {
    "strategy": "rsi_cross",
    "symbol": "BTC/USDT",
    "timeframe": "1h",
    "exchange": "binance",
    "mode": "live",
    "capital": "1000",
}


@dataclass(frozen=True, slots=True)
class World:
    exchange: LoopbackExchange
    owner: User
    key: ExchangeKey

    def by_api(self, **changes: Any) -> tuple[int, str]:
        body = {**WANTED, "exchange_key_id": self.key.pk, **changes}
        answer = ApiClient(self.owner).post("/bot/start", {name: value for name, value in body.items() if value})
        return answer.status_code, answer.json().get("code", "")

    def by_console(self, *more: str, **changes: Any) -> tuple[int, str]:
        body = {**WANTED, "key": self.key.pk, **changes}
        options = [f"--{name}={value}" for name, value in body.items() if value]
        answer = manage("bot_start", self.owner.email, *options, *more)
        return answer.code, answer.err

    def by_page(self) -> str:
        """What the form complains of."""
        browser = Browser()
        browser.client.force_login(self.owner)
        browser.open("/app/bots/new/")
        browser.post({"exchange": "binance", "mode": "live", "symbol": "BTC/USDT", "refresh": "1"})
        form = {"timeframe": "1h", "capital": "1000", "confirmation": "BTC/USDT"}
        answer = browser.post(form | {"exchange_key_id": str(self.key.pk)})
        assert answer.status_code == 422
        return " ".join(errors_on(browser.page))


@pytest.fixture
def world(tmp_path: Path, settings: Any) -> Iterator[World]:
    """Everything is as it has to be for a live run; each test takes one thing away."""
    settings.LIVE_TRADING = True
    with in_place_of_binance(tmp_path / "books.sqlite3") as exchange:
        exchange.deposit("USDT", "10000")
        exchange.set_price("BTC/USDT", "50000")
        owner = trader()
        key = add_key(owner, timezone.now())
        arming.arm(key, "page", timezone.now(), CONSOLE)
        yield World(exchange, owner, key)


def nothing_happened(world: World) -> bool:
    untouched = not (BotRun.objects.exists() or Order.objects.exists() or TradingAccount.objects.exists())
    return untouched and world.exchange.requests("POST", "/api/v3/order") == []


def test_with_everything_in_place_the_run_starts_by_api_and_only_once(world: World) -> None:
    assert world.by_api()[0] == 201
    assert world.by_api() == (409, "already_running")
    assert BotRun.objects.count() == 1


def test_with_everything_in_place_the_run_starts_at_the_console(world: World) -> None:
    not_armed(world, None)
    code, _ = world.by_console("--yes")
    assert code == 0
    assert Arming.objects.get(dropped_at=None).by == "console"


def test_an_arming_whose_start_was_refused_is_taken_back(world: World) -> None:
    not_armed(world, None)
    assert world.by_console("--yes", symbol="BTC/NOPE")[0] == 4
    assert not Arming.objects.filter(dropped_at=None).exists()


def live_off(world: World, settings: Any) -> None:
    settings.LIVE_TRADING = False


def unverified(world: World, settings: Any) -> None:
    ExchangeKey.objects.update(permissions="unverified")


def read_only(world: World, settings: Any) -> None:
    ExchangeKey.objects.update(permissions="read")


def can_withdraw(world: World, settings: Any) -> None:
    ExchangeKey.objects.update(can_withdraw=True)


def not_armed(world: World, settings: Any) -> None:
    Arming.objects.update(dropped_at=timezone.now())


def arming_over(world: World, settings: Any) -> None:
    Arming.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


def check_is_old(world: World, settings: Any) -> None:
    ExchangeKey.objects.update(last_checked_at=timezone.now() - timedelta(hours=25))


REFUSALS: list[tuple[Callable[[World, Any], None], str, int | None, str]] = [
    (live_off, "live_disabled", 5, "switched off"),
    (unverified, "paper_only", 5, "PAPER_ONLY"),
    (read_only, "paper_only", 5, "PAPER_ONLY"),
    (can_withdraw, "key_can_withdraw", 5, "KEY_CAN_WITHDRAW"),
    (not_armed, "not_armed", None, "not armed"),
    (arming_over, "not_armed", None, "not armed"),
    (check_is_old, "key_check_stale", 5, "KEY_CHECK_STALE"),
]


@pytest.mark.parametrize(("take_away", "code", "exit_code", "words"), REFUSALS)
def test_live_start_is_refused_at_every_door(
    world: World, settings: Any, take_away: Callable[[World, Any], None], code: str, exit_code: int | None, words: str
) -> None:
    take_away(world, settings)

    assert world.by_api() == (403, code)
    assert words in world.by_page()
    # The operator's --yes makes the arming, so that two of the reasons do not exist at the console.
    if exit_code is not None:
        assert world.by_console("--yes")[0] == exit_code

    assert nothing_happened(world)


def test_live_start_without_a_key_is_refused_at_every_door(world: World) -> None:
    assert world.by_api(exchange_key_id=None) == (422, "key_required")
    assert world.by_console("--yes", key=None)[0] == 4
    ExchangeKey.objects.update(deleted_at=timezone.now(), encrypted_secret="")
    assert world.by_api() == (422, "unknown_key")
    assert world.by_console("--yes")[0] == 3
    assert nothing_happened(world)


def test_a_strangers_key_is_as_good_as_none(world: World) -> None:
    bob = trader("bob@example.com")
    stranger = World(world.exchange, bob, world.key)
    assert stranger.by_api() == (422, "unknown_key")
    assert stranger.by_console("--yes")[0] == 3
    assert nothing_happened(world)


def test_console_without_yes_and_without_a_terminal_neither_arms_nor_starts(world: World) -> None:
    Arming.objects.update(dropped_at=timezone.now())
    code, told = world.by_console()
    assert (code, "--yes" in told) == (5, True)
    assert not Arming.objects.filter(dropped_at=None).exists()
    assert nothing_happened(world)


def test_a_key_that_can_withdraw_is_never_stored(world: World) -> None:
    world.exchange.open_account("w" * 64, "s" * 64, enableWithdrawals=True)
    body = {"exchange": "binance", "api_key": "w" * 64, "api_secret": "s" * 64}
    answer = ApiClient(world.owner, "keys").post("/exchange/keys", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "key_can_withdraw")
    stdin = json.dumps({"api_key": "w" * 64, "api_secret": "s" * 64})
    assert manage("key_add", world.owner.email, "binance", stdin=stdin).code == 5
    assert ExchangeKey.objects.count() == 1


def test_a_key_added_by_a_token_with_scope_keys_trades(world: World) -> None:
    keys.delete_key(world.key, timezone.now(), CONSOLE, in_use=lambda key: False)
    api = ApiClient(world.owner, "keys", "read", "trade")
    body = {"exchange": "binance", "api_key": API_KEY, "api_secret": API_SECRET, "label": "by token"}
    answer = api.post("/exchange/keys", body)
    assert (answer.status_code, answer.json()["permissions"]) == (201, "trade")
    assert API_SECRET not in answer.content.decode()
    assert ApiClient(world.owner, "read", "trade").post("/exchange/keys", body).status_code == 403
    added = World(world.exchange, world.owner, ExchangeKey.objects.get(pk=answer.json()["id"]))
    assert added.by_api() == (403, "not_armed")
    arming.arm(added.key, "page", timezone.now(), CONSOLE)
    assert added.by_api()[0] == 201


BAD = [
    ({"symbol": "BTC/NOPE"}, "unknown_symbol"),
    ({"strategy": "astrology"}, "unknown_strategy"),
    ({"timeframe": "7m"}, "unknown_timeframe"),
    ({"exchange": "nowhere"}, "unknown_exchange"),
    ({"capital": "0.01"}, "invalid_capital"),
    ({"capital": "20000"}, "insufficient_funds"),
    ({"params": {"rsi_period": 1}}, "invalid_params"),
    ({"params": {"rsi_periods": 14}}, "invalid_params"),
    ({"limits": {"max_drawdown_pct": "-3"}}, "invalid_limits"),
    ({"limits": {"nonsense": 1}}, "invalid_limits"),
]


@pytest.mark.parametrize(("change", "code"), BAD)
def test_bad_input_is_named_by_api_and_console_and_nothing_is_written(
    world: World, change: dict[str, Any], code: str
) -> None:
    assert world.by_api(**change) == (422, code)
    texts = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in change.items()}
    exit_code, told = world.by_console("--yes", **texts)
    assert exit_code == 4
    assert "Expected" in told or "lists no" in told
    assert nothing_happened(world)


@pytest.mark.parametrize(
    "words",
    [
        ["--capital", "much"],
        ["--mode", "dream"],
        ["--params", "[1"],
        ["--params", "[1]"],
        ["--key", "x"],
        ["--at", "yesterday"],
        ["--nonsense"],
    ],
)
def test_wrong_usage_of_the_console_exits_with_2(world: World, words: list[str]) -> None:
    options = [f"--{name}={value}" for name, value in WANTED.items()]
    assert manage("bot_start", world.owner.email, *options, *words).code == 2
    assert nothing_happened(world)


def test_a_person_without_a_second_factor_cannot_arm(world: World) -> None:
    Arming.objects.all().delete()
    browser = Browser()
    browser.client.force_login(world.owner)
    browser.open(f"/app/keys/{world.key.pk}/arm/")
    assert "/2fa/totp/activate/" in browser.url
    totp(world.owner)
    browser.open(f"/app/keys/{world.key.pk}/arm/")
    assert "/2fa/reauthenticate/" in browser.url
    assert not Arming.objects.exists()


def test_paper_needs_none_of_it_and_sends_nothing(world: World, settings: Any) -> None:
    settings.LIVE_TRADING = False
    play_script(world.exchange)
    run = done("bot_start", world.owner.email, *[f"--{n}={v}" for n, v in (WANTED | {"mode": "paper"}).items()])
    assert BotRun.objects.get(pk=run["bot_run_id"]).capital == Decimal(1000)
    done("bot_tick", "--at", iso(timezone.now()))
    assert world.exchange.requests("POST") == []
