"""The database itself refuses to change, delete or truncate the rows of a table: a migration operation."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import NotSupportedError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

PREFIX = "append_only_"


class AppendOnly(Operation):
    """Guards one table; put it into a migration after the one that creates the table.

    ``allow_update`` is an SQL condition over OLD and NEW under which an update passes, for a row that may change in
    one way only: ``"NEW.entries = OLD.entries + 1"``. A violation is an ``IntegrityError`` that names the table.
    SQLite forgets triggers when a later migration rebuilds the table: repeat the operation after such a migration.
    """

    reduces_to_sql = True
    reversible = True

    def __init__(self, table: str, *, allow_update: str = "") -> None:
        self.table = table
        self.allow_update = allow_update

    def deconstruct(self) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        options = {"allow_update": self.allow_update} if self.allow_update else {}
        return type(self).__name__, (self.table,), options

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """The models do not change."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        for statement in self._statements(schema_editor.connection.vendor):
            schema_editor.execute(statement, params=None)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        on = f' ON "{self.table}"' if schema_editor.connection.vendor == "postgresql" else ""
        for event in ("update", "delete", "truncate"):
            schema_editor.execute(f'DROP TRIGGER IF EXISTS "{PREFIX}{event}_{self.table}"{on}', params=None)

    def describe(self) -> str:
        return f"Make {self.table} append-only"

    @property
    def migration_name_fragment(self) -> str:
        return f"append_only_{self.table}"

    def _statements(self, vendor: str) -> Iterator[str]:
        when = f" WHEN (NOT ({self.allow_update}))" if self.allow_update else ""
        if vendor == "sqlite":
            yield from self._sqlite(when)
        elif vendor == "postgresql":
            yield from self._postgresql(when)
        else:
            raise NotSupportedError(f"Expected sqlite or postgresql, was {vendor}.")

    def _sqlite(self, when: str) -> Iterator[str]:
        for event, condition in (("update", when), ("delete", "")):
            yield (
                f'CREATE TRIGGER "{PREFIX}{event}_{self.table}" BEFORE {event.upper()} ON "{self.table}"{condition} '
                f"BEGIN SELECT RAISE(ABORT, '{self.table} is append-only'); END"
            )

    def _postgresql(self, when: str) -> Iterator[str]:
        yield (
            "CREATE OR REPLACE FUNCTION append_only_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; "
            "END $$"
        )
        for event, each, condition in (
            ("update", "ROW", when),
            ("delete", "ROW", ""),
            ("truncate", "STATEMENT", ""),
        ):
            yield (
                f'CREATE TRIGGER "{PREFIX}{event}_{self.table}" BEFORE {event.upper()} ON "{self.table}" '
                f"FOR EACH {each}{condition} EXECUTE FUNCTION append_only_refuse()"
            )


def guarded(connection: BaseDatabaseWrapper) -> dict[str, frozenset[str]]:
    """Table → the events that its triggers refuse, as the database has them now; a disabled trigger does not count."""
    found: dict[str, set[str]] = {}
    for table, name, _definition in _triggers(connection):
        found.setdefault(table, set()).add(name.removeprefix(PREFIX).partition("_")[0])
    return {table: frozenset(events) for table, events in found.items()}


@contextmanager
def lifted(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Without guards for one transaction: for ``flush``, which empties the whole database on purpose.

    Only statements that change the schema lift the guard: neither an injected write nor a least-privilege role can.
    """
    with transaction.atomic(connection.alias), connection.cursor() as cursor:
        triggers = _triggers(connection)
        for table, name, _definition in triggers:
            on = f' ON "{table}"' if connection.vendor == "postgresql" else ""
            cursor.execute(f'DROP TRIGGER "{name}"{on}')
        yield
        for _table, _name, definition in triggers:
            cursor.execute(definition)


def _triggers(connection: BaseDatabaseWrapper) -> list[tuple[str, str, str]]:
    """(table, trigger, the statement that made it)."""
    queries = {
        "sqlite": "SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name",
        "postgresql": (
            "SELECT relname, tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid "
            "WHERE NOT tgisinternal AND tgenabled <> 'D' AND pg_table_is_visible(c.oid) ORDER BY tgname"
        ),
    }
    with connection.cursor() as cursor:
        cursor.execute(queries[connection.vendor])
        return [row for row in cursor.fetchall() if row[1].startswith(PREFIX)]
