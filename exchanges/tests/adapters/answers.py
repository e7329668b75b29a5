"""Canned answers of the exchanges that may trade live, and what must have been sent to get them."""

MS = 1_706_781_601_000
ID = "0123456789abcdef0123456789abcdef"
DASHED = "01234567-89ab-cdef-0123-456789abcdef"

PLACED = {
    "binance": {
        "symbol": "BTCUSDT",
        "orderId": 7,
        "clientOrderId": ID,
        "status": "NEW",
        "side": "BUY",
        "type": "LIMIT",
    },
    "okx": {"code": "0", "data": [{"clOrdId": ID, "ordId": "7", "sCode": "0", "sMsg": ""}], "msg": ""},
    "bybit": {"retCode": 0, "retMsg": "OK", "result": {"orderId": "7", "orderLinkId": ID}},
    "kraken": {"error": [], "result": {"txid": ["7"], "descr": {"order": "buy 0.01 XBTUSDT @ limit 60000.1"}}},
    "kucoin": {"code": "200000", "data": {"orderId": "7", "clientOid": ID}},
}

CREATED = {
    "binance": {
        "newClientOrderId": ID,
        "quantity": "0.01",
        "price": "60000.1",
        "timeInForce": "IOC",
        "type": "LIMIT",
        "side": "BUY",
        "timestamp": str(MS),
        "recvWindow": "5000",
    },
    "okx": {"clOrdId": ID, "sz": "0.01", "px": "60000.1", "ordType": "ioc", "side": "buy", "tdMode": "cash"},
    "bybit": {
        "orderLinkId": ID,
        "qty": "0.01",
        "price": "60000.1",
        "timeInForce": "IOC",
        "orderType": "Limit",
        "side": "Buy",
        "category": "spot",
    },
    "kraken": {
        "cl_ord_id": DASHED,
        "volume": "0.01",
        "price": "60000.1",
        "timeinforce": "IOC",
        "ordertype": "limit",
        "type": "buy",
        "deadline": "2024-02-01T10:00:06Z",
    },
    "kucoin": {
        "clientOid": ID,
        "size": "0.01",
        "price": "60000.1",
        "timeInForce": "IOC",
        "type": "limit",
        "side": "buy",
    },
}

SIGNED = {
    "binance": {},
    "okx": {"OK-ACCESS-TIMESTAMP": "2024-02-01T10:00:01.000Z", "expTime": str(MS + 5000)},
    "bybit": {"X-BAPI-TIMESTAMP": str(MS), "X-BAPI-RECV-WINDOW": "5000"},
    "kraken": {},
    "kucoin": {"KC-API-TIMESTAMP": str(MS)},
}

BYBIT = {
    "orderId": "7",
    "orderLinkId": ID,
    "symbol": "BTCUSDT",
    "side": "Buy",
    "orderType": "Limit",
    "orderStatus": "Filled",
    "qty": "0.01",
    "cumExecQty": "0.01",
    "cumExecValue": "600",
    "avgPrice": "60000",
    "price": "60000.1",
    "createdTime": str(MS),
}

KRAKEN = {
    "status": "closed",
    "cl_ord_id": DASHED,
    "opentm": MS / 1000,
    "vol": "0.01",
    "vol_exec": "0.01",
    "cost": "600",
    "price": "60000",
    "fee": "0",
    "trades": ["T1"],
    "descr": {"pair": "XBTUSDT", "type": "buy", "ordertype": "limit", "price": "60000.1", "leverage": "none"},
}

FOUND = {
    "binance": [
        {
            "symbol": "BTCUSDT",
            "orderId": 7,
            "clientOrderId": ID,
            "status": "FILLED",
            "side": "BUY",
            "type": "LIMIT",
            "origQty": "0.01",
            "executedQty": "0.01",
            "cummulativeQuoteQty": "600",
            "time": MS,
            "price": "60000.1",
        }
    ],
    "okx": [
        {
            "code": "0",
            "data": [
                {
                    "instId": "BTC-USDT",
                    "instType": "SPOT",
                    "ordId": "7",
                    "clOrdId": ID,
                    "state": "filled",
                    "side": "buy",
                    "ordType": "limit",
                    "sz": "0.01",
                    "accFillSz": "0.01",
                    "avgPx": "60000",
                    "cTime": str(MS),
                }
            ],
        }
    ],
    "bybit": [{"retCode": 0, "result": {"list": []}}, {"retCode": 0, "result": {"list": [BYBIT]}}],
    "kraken": [{"error": [], "result": {"open": {}}}, {"error": [], "result": {"closed": {"7": KRAKEN}, "count": 1}}],
    "kucoin": [
        {
            "code": "200000",
            "data": {
                "id": "7",
                "clientOid": ID,
                "symbol": "BTC-USDT",
                "side": "buy",
                "type": "limit",
                "size": "0.01",
                "dealSize": "0.01",
                "dealFunds": "600",
                "isActive": False,
                "createdAt": MS,
                "price": "60000.1",
            },
        }
    ],
}

ASKED = {
    "binance": [("GET", "/api/v3/order", {"origClientOrderId": ID})],
    "okx": [("GET", "/api/v5/trade/order", {"clOrdId": ID})],
    "bybit": [("GET", "/v5/order/realtime", {"orderLinkId": ID}), ("GET", "/v5/order/history", {"orderLinkId": ID})],
    "kraken": [
        ("POST", "/0/private/OpenOrders", {"cl_ord_id": DASHED}),
        ("POST", "/0/private/ClosedOrders", {"cl_ord_id": DASHED}),
    ],
    "kucoin": [("GET", f"/api/v1/order/client-order/{ID}", {})],
}

CANCELED = {
    "binance": ("DELETE", "/api/v3/order", {"origClientOrderId": ID}, FOUND["binance"][0]),
    "okx": ("POST", "/api/v5/trade/cancel-order", {"clOrdId": ID}, PLACED["okx"]),
    "bybit": ("POST", "/v5/order/cancel", {"orderLinkId": ID}, PLACED["bybit"]),
    "kraken": ("POST", "/0/private/CancelOrder", {"cl_ord_id": DASHED}, {"error": [], "result": {"count": 1}}),
    "kucoin": ("DELETE", f"/api/v1/order/client-order/{ID}", {}, {"code": "200000", "data": {"cancelledOrderId": "7"}}),
}

KRAKEN_TRADE = {
    "ordertxid": "7",
    "pair": "XBTUSDT",
    "time": MS / 1000,
    "type": "buy",
    "ordertype": "limit",
    "price": "60000",
    "cost": "600",
    "fee": "0.96",
    "vol": "0.01",
}

FILLS = {
    "binance": [
        [
            {
                "symbol": "BTCUSDT",
                "id": 1,
                "orderId": 7,
                "price": "60000",
                "qty": "0.01",
                "commission": "0.00001",
                "commissionAsset": "BTC",
                "time": MS,
                "isBuyer": True,
            }
        ]
    ],
    "okx": [
        {
            "code": "0",
            "data": [
                {
                    "instId": "BTC-USDT",
                    "instType": "SPOT",
                    "ordId": "7",
                    "tradeId": "1",
                    "side": "buy",
                    "fillPx": "60000",
                    "fillSz": "0.01",
                    "fee": "-0.00001",
                    "feeCcy": "BTC",
                    "ts": str(MS),
                }
            ],
        }
    ],
    "bybit": [
        {
            "retCode": 0,
            "result": {
                "list": [
                    {
                        "symbol": "BTCUSDT",
                        "orderId": "7",
                        "execId": "1",
                        "side": "Buy",
                        "execPrice": "60000",
                        "execQty": "0.01",
                        "execFee": "0.00001",
                        "feeCurrency": "BTC",
                        "execTime": str(MS),
                    }
                ]
            },
        }
    ],
    "kraken": [{"error": [], "result": {"7": KRAKEN}}, {"error": [], "result": {"T1": KRAKEN_TRADE}}],
    "kucoin": [
        {
            "code": "200000",
            "data": {
                "items": [
                    {
                        "symbol": "BTC-USDT",
                        "tradeId": "1",
                        "orderId": "7",
                        "side": "buy",
                        "price": "60000",
                        "size": "0.01",
                        "fee": "0.6",
                        "feeCurrency": "USDT",
                        "createdAt": MS,
                    }
                ]
            },
        }
    ],
}

FEES = {
    "binance": ("0.00001", "BTC"),
    "okx": ("0.00001", "BTC"),
    "bybit": ("0.00001", "BTC"),
    "kraken": ("0.96", "USDT"),
    "kucoin": ("0.6", "USDT"),
}

PERMISSIONS = [
    ("okx", {"code": "0", "data": [{"perm": "read_only,trade", "ip": "1.2.3.4"}]}, (True, False, True)),
    ("okx", {"code": "0", "data": [{"perm": "read_only,trade,withdraw", "ip": ""}]}, (True, True, False)),
    (
        "bybit",
        {"retCode": 0, "result": {"readOnly": 0, "ips": ["*"], "permissions": {"Spot": ["SpotTrade"], "Wallet": []}}},
        (True, False, False),
    ),
    (
        "bybit",
        {
            "retCode": 0,
            "result": {
                "readOnly": 1,
                "ips": ["1.2.3.4"],
                "permissions": {"Spot": ["SpotTrade"], "Wallet": ["Withdraw"]},
            },
        },
        (False, True, True),
    ),
    (
        "kraken",
        {
            "error": [],
            "result": {
                "permissions": [
                    "query-funds",
                    "query-open-trades",
                    "query-closed-trades",
                    "modify-trades",
                    "close-trades",
                ],
                "ip_allowlist": [],
            },
        },
        (True, False, False),
    ),
    ("kraken", {"error": [], "result": {"permissions": ["query-funds", "withdraw-funds"]}}, (False, True, None)),
    (
        "kucoin",
        {"code": "200000", "data": {"permission": "General,Spot", "ipWhitelist": "1.2.3.4"}},
        (True, False, True),
    ),
    ("kucoin", {"code": "200000", "data": {"permission": "General,Trade,Transfer"}}, (True, True, None)),
]
