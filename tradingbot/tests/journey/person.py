"""What a person does in a browser on the way to a live bot."""

import re

from accounts.tests.cast import code
from tradingbot.tests.journey.browser import Browser

PASSWORD = "walking on the thin ice again"


class Person:
    def __init__(self, email: str) -> None:
        self.email = email
        self.browser = Browser()
        self.secret = ""

    def sign_up(self) -> None:
        form = {"email": self.email, "password1": PASSWORD, "password2": PASSWORD}
        self.browser.fill("/app/account/signup/", form)

    def set_up_second_factor(self) -> None:
        """Activate an authenticator app with the key that the page shows."""
        path = "/app/account/2fa/totp/activate/"
        self.browser.open(path)
        if "/reauthenticate/" in self.browser.url:
            self.browser.send({"password": PASSWORD})
        shown = re.search(r'id="authenticator_secret" value="([A-Z2-7]+)"', self.browser.page)
        assert shown, f"{self.browser.url} shows no key to type into an authenticator app."
        self.secret = shown[1]
        self.browser.send({"code": code(self.secret)})

    def open_guarded(self, path: str) -> None:
        """A page behind a fresh second factor: show it on the way, if asked."""
        self.browser.open(path)
        if "/2fa/reauthenticate/" in self.browser.url:
            self.browser.send({"code": code(self.secret)})
        assert self.browser.url == path

    def add_key(self, exchange: str, api_key: str, api_secret: str) -> None:
        form = {"exchange": exchange, "label": "main", "api_key": api_key, "api_secret": api_secret}
        self.open_guarded("/app/keys/new/")
        self.browser.send(form)

    def arm(self, key_id: int, hint: str) -> None:
        self.open_guarded(f"/app/keys/{key_id}/arm/")
        self.browser.send({"phrase": f"trade live with {hint}"})

    def start_live(self, key_id: int, capital: str, symbol: str = "BTC/USDT") -> int:
        """The form of a new bot, redrawn as its choices change; returns the run's id."""
        self.browser.open("/app/bots/new/")
        self.browser.post({"exchange": "binance", "mode": "live", "symbol": symbol, "refresh": "1"})
        form = {"timeframe": "1h", "capital": capital, "exchange_key_id": str(key_id), "confirmation": symbol}
        url = self.browser.send(form)
        found = re.search(r"/app/bots/(\d+)/", url)
        assert found, url
        return int(found[1])
