"""Opens exchanges: public, a user's account (its credentials are decrypted here and only here), or a paper account."""

from datetime import datetime, timedelta

from django.core.cache import cache

from accounts import audit
from exchanges.adapters.ccxt_contracts import CONTRACTS
from exchanges.adapters.ccxt_contracts import supports_live as supports_live
from exchanges.adapters.demo import DemoExchange
from exchanges.adapters.paper import PaperExchange
from exchanges.core.errors import UnknownExchange
from exchanges.core.orders import StopStyle
from exchanges.core.port import Exchange, MarketSource
from exchanges.models import ExchangeKey, SimulatedWallet
from exchanges.vault import Credentials, Place, Sealed, keyring, open_row

DEMO = DemoExchange.name
# A tick decrypts every minute; an audit row for each would bury everything else.
TRADE = "trade"
AUDIT_SECONDS = 3600


class KeyErased(Exception):
    """The key was deleted; its ciphertext no longer exists."""


def exchange_names() -> tuple[str, ...]:
    return (DEMO, *CONTRACTS)


def stop_style(exchange: str) -> StopStyle:
    return CONTRACTS[exchange].stops if exchange in CONTRACTS else StopStyle.NONE


def stop_lingers(exchange: str) -> timedelta:
    """How much longer than any other order a delayed request for a stop may still be taken there."""
    row = CONTRACTS.get(exchange)
    if row is None or row.stop_horizon is None or row.horizon is None:
        return timedelta(0)
    return timedelta(seconds=row.stop_horizon - row.horizon)


def needs_passphrase(exchange: str) -> bool:
    return exchange in CONTRACTS and CONTRACTS[exchange].passphrase


def require_known(exchange: str) -> None:
    """Raises UnknownExchange, whose message lists the exchanges there are."""
    if exchange not in exchange_names():
        raise UnknownExchange(f"Expected one of {', '.join(exchange_names())}, was {exchange!r}.")


def open_public(exchange: str, at: datetime) -> MarketSource:
    """Raises UnknownExchange."""
    require_known(exchange)
    return DemoExchange(at) if exchange == DEMO else _exchange(exchange, at)


def _exchange(exchange: str, at: datetime, credentials: Credentials | None = None) -> Exchange:
    # ccxt takes about a second to load: what opens no exchange, such as most commands, must not pay for it.
    from exchanges.adapters.bybit_exchange import BybitExchange
    from exchanges.adapters.ccxt_exchange import CcxtExchange
    from exchanges.adapters.okx_exchange import OkxExchange

    kinds = {"bybit": BybitExchange, "okx": OkxExchange}
    return kinds.get(exchange, CcxtExchange)(exchange, at, credentials)


def open_paper(wallet: SimulatedWallet, at: datetime, market_source: MarketSource | None = None) -> Exchange:
    """The simulated account on ``market_source``, by default the real market that the wallet names."""
    return PaperExchange(wallet, market_source or open_public(wallet.exchange, at), at)


def open_exchange(key: ExchangeKey, *, at: datetime, purpose: str) -> Exchange:
    """The account behind a key; raises KeyErased or Undecryptable. Every purpose but trading leaves an audit row."""
    credentials = credentials_of(key)
    if purpose != TRADE and cache.add(f"decrypted:{key.pk}:{purpose}", 1, AUDIT_SECONDS):
        audit.record(audit.SYSTEM, "key_decrypted", f"key:{key.pk}", at=at, purpose=purpose)
    return _exchange(key.exchange, at, credentials)


def open_unsaved(exchange: str, credentials: Credentials, at: datetime) -> Exchange:
    """With credentials that somebody has just typed in, to ask what they may do before they are stored."""
    return _exchange(exchange, at, credentials)


def credentials_of(key: ExchangeKey) -> Credentials:
    if key.deleted_at is not None:
        raise KeyErased(f"Expected a key that exists, but key {key.pk} was deleted.")
    return open_row(keyring(), place_of(key), sealed_of(key))


def place_of(key: ExchangeKey) -> Place:
    return Place(key.owner_id, key.uuid, key.exchange, key.row_version)


def sealed_of(key: ExchangeKey) -> Sealed:
    return Sealed(
        key.key_id,
        {
            "api_key": (key.iv_key, key.encrypted_key),
            "api_secret": (key.iv_secret, key.encrypted_secret),
            "passphrase": (key.iv_passphrase, key.encrypted_passphrase),
        },
    )
