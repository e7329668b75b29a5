"""Load the demo: a user and a running paper bot on the built-in synthetic market; safe to repeat."""

import secrets
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings

from accounts import operations as accounts
from accounts.audit import CONSOLE
from accounts.management.base import ConsoleCommand
from accounts.models import User
from bots import lifecycle
from bots.queries import runs
from strategies import operations as strategies

EMAIL = "demo@example.com"
LOGIN_FILE = "demo_login"
SYMBOLS = ("BTC/USDT", "ETH/USDT")
PARAMS = {"rsi_period": 7, "rsi_method": "cutler", "oversold": 30, "overbought": 70}


class Command(ConsoleCommand):
    help = "Load the demo user, the strategies and running paper bots on the demo exchange. It writes no trade."
    takes_at = True

    def handle(self, *args: Any, **options: Any) -> None:
        at = self.at(options)
        strategies.sync(at, CONSOLE)
        user, password = demo_user(at)
        started = start_bots(user, at)
        document = {"email": EMAIL, "password": password, "started": started}
        lines = [f"Demo login: {EMAIL}  password: {password or '(set by you)'}"]
        self.emit(document, lines)


def demo_user(at: datetime) -> tuple[User, str]:
    """The demo user and its password, made at the first load and kept for the owner of VAR_DIR to read."""
    path = settings.VAR_DIR / "secrets" / LOGIN_FILE
    user = User.objects.filter(email=EMAIL).first()
    if user is None:
        password = secrets.token_urlsafe(12)
        user = accounts.create_user(EMAIL, password, at, CONSOLE)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(password, encoding="utf-8")
    password = path.read_text(encoding="utf-8") if path.is_file() else ""
    return user, password if password and user.check_password(password) else ""


def start_bots(user: User, at: datetime) -> list[int]:
    """One run per demo symbol, unless the user has, or has had, one: what was stopped stays stopped."""
    known = {run.symbol for run in runs.runs_of(user, limit=500).items if run.exchange == "demo"}
    return [
        lifecycle.start(
            lifecycle.StartRequest(
                user=user,
                strategy="rsi_cross",
                symbol=symbol,
                timeframe="1s",
                exchange="demo",
                capital=Decimal(1000),
                params=PARAMS,
            ),
            at,
            CONSOLE,
        ).pk
        for symbol in SYMBOLS
        if symbol not in known
    ]
