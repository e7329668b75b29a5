import pytest
from django.core.management import call_command
from django.db import IntegrityError, NotSupportedError, connection, models, transaction
from django.db.migrations.state import ProjectState

from accounts import audit
from accounts.append_only import AppendOnly, guarded, lifted
from accounts.audit import SYSTEM
from accounts.models import AuditEntry, AuditHead
from accounts.tests.cast import NOW

pytestmark = pytest.mark.django_db
EVENTS = {"update", "delete"}


@pytest.fixture
def entry() -> AuditEntry:
    return audit.record(SYSTEM, "started", at=NOW)


def sql(statement: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_audit_tables_are_guarded_after_migrating():
    events = EVENTS | {"truncate"} if connection.vendor == "postgresql" else EVENTS
    assert guarded(connection)["accounts_auditentry"] == events
    assert guarded(connection)["accounts_audithead"] == events


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounts_auditentry SET action = 'x'",
        "DELETE FROM accounts_auditentry",
        "UPDATE accounts_audithead SET entries = entries - 1",
        "UPDATE accounts_audithead SET row_hash = 'x'",
        "UPDATE accounts_audithead SET id = 1, entries = entries + 2",
        "DELETE FROM accounts_audithead",
    ],
)
def test_guarded_row_cannot_change(entry, statement):
    with pytest.raises(IntegrityError, match="is append-only"):
        sql(statement)
    assert AuditEntry.objects.get() == entry
    assert audit.first_break() is None


@pytest.mark.postgres
def test_truncation_is_refused():
    with pytest.raises(IntegrityError, match="is append-only"):
        sql("TRUNCATE accounts_auditentry")


def test_orm_cannot_change_a_guarded_row(entry):
    entry.action = "other"
    with pytest.raises(IntegrityError), transaction.atomic():
        entry.save()
    with pytest.raises(IntegrityError), transaction.atomic():
        AuditEntry.objects.all().delete()
    assert AuditEntry.objects.get().action == "started"


def test_allowed_update_passes(entry):
    sql("UPDATE accounts_audithead SET entries = entries + 1")
    assert AuditHead.objects.get().entries == 2


def test_guard_is_back_after_being_lifted(entry):
    before = guarded(connection)
    with lifted(connection):
        assert guarded(connection) == {}
        sql("DELETE FROM accounts_auditentry")
        sql("DELETE FROM accounts_audithead")
    assert guarded(connection) == before
    audit.record(SYSTEM, "started", at=NOW)
    with pytest.raises(IntegrityError):
        sql("DELETE FROM accounts_auditentry")


def test_guard_is_back_when_what_lifted_it_fails(entry):
    before = guarded(connection)
    with pytest.raises(ZeroDivisionError), lifted(connection):
        raise ZeroDivisionError
    assert guarded(connection) == before


@pytest.mark.django_db(transaction=True)
def test_flush_empties_guarded_tables_and_leaves_the_guard():
    audit.record(SYSTEM, "started", at=NOW)
    call_command("flush", interactive=False, verbosity=0)
    assert not AuditEntry.objects.exists()
    assert {"accounts_auditentry", "accounts_audithead"} <= guarded(connection).keys()


class Diary(models.Model):
    text = models.CharField(max_length=10)

    class Meta:
        app_label = "accounts"
        managed = False


@pytest.mark.django_db(transaction=True)
def test_operation_runs_both_ways():
    operation, state = AppendOnly("accounts_diary"), ProjectState()
    try:
        with connection.schema_editor() as editor:
            editor.create_model(Diary)
            operation.database_forwards("accounts", editor, state, state)
        Diary.objects.create(text="dear")
        with pytest.raises(IntegrityError):
            Diary.objects.update(text="x")
        with connection.schema_editor() as editor:
            operation.database_backwards("accounts", editor, state, state)
        assert Diary.objects.update(text="x") == 1
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(Diary)


def test_operation_describes_itself_for_the_migration_writer():
    plain, lenient = AppendOnly("t"), AppendOnly("t", allow_update="NEW.a = OLD.a")
    assert plain.deconstruct() == ("AppendOnly", ("t",), {})
    assert lenient.deconstruct() == ("AppendOnly", ("t",), {"allow_update": "NEW.a = OLD.a"})
    assert plain.describe() == "Make t append-only"
    assert plain.migration_name_fragment == "append_only_t"
    with pytest.raises(NotSupportedError, match="was oracle"):
        list(plain._statements("oracle"))
