"""What a person does in a browser on the way to a live bot."""

import re

from accounts.tests.cast import code
from tradingbot.tests.journey.browser import Browser

PASSWORD = "walking on the thin ice again"


class Person:
    def __init__(self, email: str) -> None:
        self.email = email
        self.browser = Browser()

    def sign_up(self) -> None:
        form = {"email": self.email, "password1": PASSWORD, "password2": PASSWORD}
        self.browser.fill("/app/account/signup/", form)

    def set_up_second_factor(self) -> str:
        """Activate an authenticator app with the key that the page shows; returns that key."""
        path = "/app/account/2fa/totp/activate/"
        page = self.browser.open(path)
        shown = re.search(r'id="authenticator_secret" value="([A-Z2-7]+)"', page)
        assert shown, "The page shows no key to type into an authenticator app."
        self.browser.fill(path, {"code": code(shown[1])})
        return shown[1]

    def add_key(self, exchange: str, api_key: str, api_secret: str) -> None:
        form = {"exchange": exchange, "label": "main", "api_key": api_key, "api_secret": api_secret}
        self.browser.fill("/app/keys/new/", form)

    def arm(self, key_id: int, hint: str) -> None:
        self.browser.fill(f"/app/keys/{key_id}/arm/", {"phrase": f"trade live with {hint}"})

    def start_live(self, key_id: int, capital: str, symbol: str = "BTC/USDT") -> int:
        """Through the form of a new bot, redrawn for the exchange as its choices change; returns the run's id."""
        chosen = {"exchange": "binance", "mode": "live", "symbol": symbol}
        self.browser.open("/app/bots/new/")
        form = self.browser.form(chosen)
        redrawn = self.browser.client.post("/app/bots/new/", {**form.fields, **chosen, "refresh": "1"})
        self.browser.page = redrawn.content.decode()
        wanted = {"timeframe": "1h", "capital": capital, "exchange_key_id": str(key_id), "confirmation": symbol}
        form = self.browser.form(wanted)
        answer = self.browser.client.post("/app/bots/new/", {**form.fields, **wanted})
        assert answer.status_code == 302, re.findall(r'class="error[^>]*>([^<]*)', answer.content.decode())
        found = re.search(r"/app/bots/(\d+)/", answer.url)
        assert found, answer.url
        return int(found[1])
