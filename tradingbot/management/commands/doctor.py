"""Checks keys, database, broker, workers, beat, clock and data; says how to repair each."""

from typing import Any

from django.core.management.base import CommandParser

from accounts.management.base import ConsoleCommand, Exit, Failure
from tradingbot.diagnosis import diagnose


class Command(ConsoleCommand):
    help = "Check every part of the platform and say how to repair what is wrong; exits with 4 if anything is."
    takes_at = True
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--exchange", metavar="ID", help="also compare this exchange's clock with ours")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = list(diagnose(self.at(options), options["exchange"]))
        ill = [finding for finding in findings if not finding.well]
        lines = []
        for finding in findings:
            lines.append(f"{finding.part.state:<8} {finding.name}: {finding.part.detail}")
            if finding.repair:
                lines.append(f"         → {finding.repair}")
        self.emit({"ok": not ill, "checks": [finding.as_dict() for finding in findings]}, lines)
        if ill:
            names = ", ".join(finding.name for finding in ill)
            raise Failure(f"{len(ill)} of {len(findings)} checks need attention: {names}.", Exit.INVALID)
