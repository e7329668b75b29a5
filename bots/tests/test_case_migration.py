"""Cases from before they held their accounts: what the migration makes of them."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from bots.testing import START

BEFORE, AFTER = [("bots", "0007_candle_downloads")], [("bots", "0009_case_constraints")]


def state(target: list[tuple[str, str]]) -> Any:
    """The models as of a migration, after going there."""
    MigrationExecutor(connection).migrate(target)
    return MigrationExecutor(connection).loader.project_state(target).apps


@pytest.mark.django_db(transaction=True)
def test_open_cases_hold_their_accounts_from_here_on() -> None:
    latest = MigrationExecutor(connection).loader.graph.leaf_nodes("bots")
    try:
        old = state(BEFORE)
        user = old.get_model("accounts", "User").objects.create(email="alice@example.com")
        wallets, accounts = old.get_model("exchanges", "SimulatedWallet"), old.get_model("bots", "TradingAccount")
        made = [
            accounts.objects.create(
                owner=user, mode="paper", exchange="demo", outside={"BTC": "0.4"}, suspects=["BTC"],
                wallet=wallets.objects.create(exchange="demo", quote="USDT", deposit=1, created_at=START),
            )
            for _ in range(2)
        ]  # fmt: skip
        cases = old.get_model("bots", "Incident")
        balance = {"subject": "BTC:1", "asset": "BTC", "total": "0.5", "expected": "0.6"}
        for minute in range(2):
            at = START + timedelta(minutes=minute)
            cases.objects.create(account=made[0], kind="balance_mismatch", detail="0.5 or 0.6", evidence=balance, at=at)
        cases.objects.create(
            account=made[0], kind="late_fill", detail="Late.", evidence={"subject": "order:1"}, at=START
        )
        cases.objects.create(
            account=made[1],
            kind="overfill",
            detail="More.",
            evidence={"subject": "order:2"},
            at=START,
            resolved_at=START,
        )
        new = state(AFTER)
        found = list(new.get_model("bots", "Incident").objects.order_by("id"))
        assert [(one.subject, one.hold, one.resolved_at is None) for one in found] == [
            ("BTC", "REDUCING", False),
            ("BTC", "REDUCING", True),
            ("order:1", "HALTED", True),
            ("order:2", "HALTED", False),
        ]
        # The older way had taken the new balance for expected already: accepting it changes nothing.
        assert found[1].evidence["held"] == "0.1"
        gates = new.get_model("bots", "TradingGate").objects.values_list("level", "target", "state")
        assert list(gates) == [("account", made[0].pk, "HALTED")]
        assert set(new.get_model("bots", "TradingAccount").objects.values_list("suspects__BTC", flat=True)) == {None}
    finally:
        MigrationExecutor(connection).migrate(latest)
