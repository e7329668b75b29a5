"""Django's flush, which empties every table, the append-only ones included."""

from typing import Any

from django.core.management.commands import flush
from django.db import connections

from accounts.append_only import lifted


class Command(flush.Command):
    def handle(self, **options: Any) -> None:
        with lifted(connections[options["database"]]):
            super().handle(**options)
