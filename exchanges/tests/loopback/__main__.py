"""Run the loopback exchange for a person: `python -m exchanges.tests.loopback --port 9480`."""

import argparse
import csv
import json
import sys
import threading
from pathlib import Path

from exchanges.core.candles import Candles
from exchanges.tests.loopback.exchange import API_KEY, API_SECRET, LoopbackExchange


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, default=9480)
    options.add_argument("--books", type=Path, default=Path("loopback.sqlite3"))
    options.add_argument("--deposit", action="append", default=[], metavar="ASSET=AMOUNT")
    options.add_argument("--candles", action="append", default=[], metavar="SYMBOL=TIMEFRAME=FILE.csv")
    given = options.parse_args()
    with LoopbackExchange(given.books, given.port) as exchange:
        for text in given.deposit:
            asset, amount = text.split("=")
            exchange.deposit(asset, amount)
        for text in given.candles:
            symbol, timeframe, path = text.split("=")
            exchange.load_candles(symbol, timeframe, read_csv(Path(path)))
        facts = {"EXCHANGE_OVERRIDES": exchange.overrides(), "api_key": API_KEY, "api_secret": API_SECRET}
        sys.stdout.write(json.dumps(facts, indent=1) + "\n")
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


def read_csv(path: Path) -> Candles:
    """Rows of timestamp_ms, open, high, low, close, volume under one line of names."""
    with path.open(newline="", encoding="utf-8") as file:
        lines = csv.reader(file)
        next(lines)
        return Candles.from_rows([[int(row[0]), *row[1:6]] for row in lines])


if __name__ == "__main__":
    main()
