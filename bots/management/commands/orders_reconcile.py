"""Settle every order whose outcome is not final, and compare the accounts with their exchanges."""

from typing import Any

from django.core.management.base import CommandParser

from bots import acting, settling
from bots.management.console import RunCommand
from bots.models import Mode
from bots.queries import runs


class Command(RunCommand):
    help = "Settle every order whose outcome is not final as of an instant, then compare accounts with exchanges."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--run", type=int, metavar="ID", help="Only this run's orders.")

    def handle(self, *args: Any, **options: Any) -> None:
        run = None if options["run"] is None else runs.run_model(None, options["run"])
        at, actor = self.at(options), acting.worker_name()
        done = settling.settle_all(at, actor, run=run, boot=True)
        compared = settling.reconcile_all(at, actor, account=run.account if run else None, mode=Mode.LIVE)
        document = {
            "accounts": done.accounts,
            "orders": done.looked_at,
            "ended": done.ended,
            "fills": done.fills + compared.late_fills,
            "late_fills": compared.late_fills,
            "orphans": compared.orphans,
            "mismatches": compared.mismatches,
            "faults": [*done.faults, *compared.faults],
        }
        lines = [
            f"{done.looked_at} orders looked at, {done.ended} ended, {document['fills']} fills booked.",
            f"{compared.accounts} accounts compared: {compared.late_fills} late fills,",
            f"{compared.orphans} orders without a row, {compared.mismatches} balances that disagree.",
        ]
        self.emit(document, [*lines, *done.faults, *compared.faults])
