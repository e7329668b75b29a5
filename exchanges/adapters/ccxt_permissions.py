"""What a key may do, by each exchange's own call: ccxt has no unified one. Never tested by trying a withdrawal."""

from collections.abc import Callable, Mapping
from typing import Any

from exchanges.core.errors import InvalidRequest, Unavailable
from exchanges.core.orders import KeyPermissions


def _on(row: Mapping[str, Any], *names: str) -> bool:
    return any(str(row.get(name)).lower() in {"true", "1"} for name in names)


def _binance(api: Any) -> KeyPermissions:
    row = api.sapi_get_account_apirestrictions()
    # The call answers for exactly this key; without the field its answer means nothing.
    if "enableWithdrawals" not in row:
        raise Unavailable("Expected the key's permissions in the answer.")
    return KeyPermissions(
        can_read=_on(row, "enableReading"),
        can_trade=_on(row, "enableSpotAndMarginTrading"),
        can_withdraw=_on(row, "enableWithdrawals", "enableInternalTransfer", "permitsUniversalTransfer"),
        ip_restricted=_on(row, "ipRestrict"),
    )


def _okx(api: Any) -> KeyPermissions:
    row = api.private_get_account_config()["data"][0]
    words = set(row["perm"].split(","))
    return KeyPermissions(
        bool(words), "trade" in words, "withdraw" in words, bool(row.get("ip")) if "ip" in row else None
    )


def _bybit(api: Any) -> KeyPermissions:
    row = api.private_get_v5_user_query_api()["result"]
    rights = row["permissions"]
    wallet = set(rights.get("Wallet") or ())
    ips = row.get("ips")
    return KeyPermissions(
        can_read=True,
        can_trade=str(row["readOnly"]) == "0" and "SpotTrade" in (rights.get("Spot") or ()),
        can_withdraw=bool(wallet & {"Withdraw", "AccountTransfer", "SubMemberTransfer", "SubMemberTransferList"}),
        ip_restricted=None if ips is None else "*" not in ips,
    )


def _kraken(api: Any) -> KeyPermissions:
    row = api.private_post_getapikeyinfo()["result"]
    rights = set(row["permissions"])
    return KeyPermissions(
        can_read="query-funds" in rights,
        can_trade={"modify-trades", "close-trades", "query-open-trades", "query-closed-trades"} <= rights,
        can_withdraw=bool(rights & {"withdraw-funds", "add-withdraw-address", "update-withdraw-address"}),
        ip_restricted=bool(row["ip_allowlist"]) if "ip_allowlist" in row else None,
    )


def _kucoin(api: Any) -> KeyPermissions:
    row = api.private_get_user_api_key()["data"]
    rights = {word.strip().lower() for word in row["permission"].split(",")}
    outward = {"transfer", "withdrawal", "withdraw", "innertransfer", "flexibletransfers"}
    listed = row.get("ipWhitelist")
    return KeyPermissions(
        "general" in rights,
        bool(rights & {"trade", "spot"}),
        bool(rights & outward),
        bool(listed) if listed is not None else None,
    )


def _coinbase(api: Any) -> KeyPermissions:
    row = api.v3_private_get_brokerage_key_permissions()
    if "can_transfer" not in row:
        raise Unavailable("Expected the key's permissions in the answer.")
    return KeyPermissions(_on(row, "can_view"), _on(row, "can_trade"), _on(row, "can_transfer"))


READERS: Mapping[str, Callable[[Any], KeyPermissions]] = {
    "binance": _binance,
    "bybit": _bybit,
    "coinbase": _coinbase,
    "kraken": _kraken,
    "kucoin": _kucoin,
    "okx": _okx,
}


def read_permissions(exchange: str, api: Any) -> KeyPermissions:
    """Raises InvalidRequest where the exchange has no call that tells: such a key stays unverified."""
    reader = READERS.get(exchange)
    if reader is None:
        raise InvalidRequest(f"{exchange} has no call that tells what a key may do.")
    return reader(api)
