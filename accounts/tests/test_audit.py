from datetime import timedelta, timezone
from decimal import Decimal
from enum import StrEnum

import pytest
from django.db import IntegrityError, connection, transaction

from accounts import audit
from accounts.append_only import lifted
from accounts.audit import CONSOLE, GENESIS, SYSTEM, Actor
from accounts.models import AuditEntry, AuditHead
from accounts.tests.cast import NOW, user

pytestmark = pytest.mark.django_db


def write(count: int) -> list[AuditEntry]:
    return [audit.record(SYSTEM, "counted", f"n:{n}", at=NOW + timedelta(seconds=n), n=n) for n in range(count)]


def tamper(statement: str, *parameters: object) -> None:
    with lifted(connection), connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def test_entry_says_who_did_what_from_where():
    alice = user("alice@example.com")
    entry = audit.record(Actor("user", alice, "::ffff:192.0.2.1"), "key_added", "key:7", at=NOW, exchange="demo")
    entry.refresh_from_db()
    assert (entry.actor, entry.actor_kind, entry.action, entry.subject) == (alice, "user", "key_added", "key:7")
    assert (entry.at, entry.detail, entry.address) == (NOW, {"exchange": "demo"}, "192.0.2.1")
    assert entry.previous_hash == GENESIS
    assert audit.first_break() is None


def test_actor_reads_as_kind_and_user():
    alice = user("alice@example.com")
    assert str(Actor("user", alice)) == f"user:{alice.pk}"
    assert str(CONSOLE) == "console"


def test_chain_holds_over_every_kind_of_detail():
    class Mode(StrEnum):
        LIVE = "live"

    bangkok = timezone(timedelta(hours=7))
    audit.record(
        SYSTEM,
        "varied",
        "x" * 100,
        at=NOW.astimezone(bangkok) + timedelta(microseconds=1),
        amount=Decimal("1E-8"),
        ratio=1e20,
        small=1e-7,
        whole=10**30,
        mode=Mode.LIVE,
        nul="a\x00b",
        lone="\ud800",
        thai="บอท",
        nested={"b": [1, (2, None)], 3: {True}},
        at_=NOW,
    )
    entry = AuditEntry.objects.get()
    assert entry.detail["amount"] == "0.00000001"
    assert entry.detail["nested"] == {"b": [1, [2, None]], "3": [True]}
    assert len(entry.subject) == 80
    assert audit.first_break() is None


@pytest.mark.parametrize("address", ["2001:DB8::0001", "::ffff:10.0.0.1", "10.0.0.1", "nonsense", None])
def test_chain_holds_over_every_spelling_of_an_address(address):
    audit.record(Actor("anonymous", None, address), "login_failed", at=NOW)
    assert audit.first_break() is None


def test_entry_is_undone_with_the_change_it_describes():
    write(2)
    with transaction.atomic():
        audit.record(SYSTEM, "doomed", at=NOW)
        transaction.set_rollback(True)
    write(1)
    assert AuditEntry.objects.count() == AuditHead.objects.get().entries == 3
    assert audit.first_break() is None


def test_thousand_entries_hold_and_every_tampering_is_found():
    entries = write(1000)
    assert audit.first_break() is None
    middle = entries[500].pk

    for column, value in (("action", "other"), ("subject", "n:0"), ("actor_kind", "console"), ("detail", '{"n": 1}')):
        with transaction.atomic():
            tamper(f"UPDATE accounts_auditentry SET {column} = %s WHERE id = %s", value, middle)
            assert audit.first_break() == middle, column
            transaction.set_rollback(True)
    assert audit.first_break() is None


def test_rewritten_entry_with_a_fitting_hash_is_found_at_the_next():
    entries = write(10)
    forged = AuditEntry.objects.get(pk=entries[4].pk)
    forged.action = "other"
    tamper(
        "UPDATE accounts_auditentry SET action = 'other', row_hash = %s WHERE id = %s",
        audit.row_hash(forged.previous_hash, forged),
        forged.pk,
    )
    assert audit.first_break() == entries[5].pk


def test_deleted_entry_is_found():
    entries = write(10)
    tamper("DELETE FROM accounts_auditentry WHERE id = %s", entries[4].pk)
    assert audit.first_break() == entries[5].pk


def test_deleted_beginning_is_found():
    entries = write(10)
    tamper("DELETE FROM accounts_auditentry WHERE id <= %s", entries[2].pk)
    assert audit.first_break() == entries[3].pk


def test_swapped_entries_are_found():
    entries = write(10)
    for old, new in ((entries[3].pk, -1), (entries[4].pk, entries[3].pk), (-1, entries[4].pk)):
        tamper("UPDATE accounts_auditentry SET id = %s WHERE id = %s", new, old)
    assert audit.first_break() == entries[3].pk


@pytest.mark.parametrize("left", [0, 1, 9])
def test_truncated_tail_is_found(left):
    entries = write(10)
    tamper("DELETE FROM accounts_auditentry WHERE id > %s", entries[0].pk + left - 1)
    assert audit.first_break() == entries[-1].pk


def test_entry_written_past_the_head_is_found():
    last = write(3)[-1]
    rogue = AuditEntry(at=NOW, actor_kind="console", action="forged", previous_hash=last.row_hash)
    rogue.row_hash = audit.row_hash(rogue.previous_hash, rogue)
    rogue.save()
    assert audit.first_break() == rogue.pk


def test_entry_without_any_head_is_found():
    rogue = AuditEntry.objects.create(at=NOW, actor_kind="x", action="forged", previous_hash=GENESIS, row_hash="x")
    assert audit.first_break() == rogue.pk


def test_fork_is_refused_by_the_database():
    first = write(2)[0]
    with pytest.raises(IntegrityError), transaction.atomic():
        AuditEntry.objects.create(at=NOW, actor_kind="x", action="x", previous_hash=first.previous_hash, row_hash="y")


def test_for_user_gives_own_deeds_and_what_befell_the_account():
    alice, bob = user("alice@example.com"), user("bob@example.com")
    audit.record(Actor("user", alice), "login", at=NOW)
    audit.record(Actor("anonymous"), "login_failed", f"user:{alice.pk}", at=NOW)
    audit.record(Actor("user", bob), "login", f"user:{bob.pk}", at=NOW)
    assert [e.action for e in AuditEntry.objects.for_user(alice)] == ["login_failed", "login"]
    assert [e.actor for e in AuditEntry.objects.for_user(bob)] == [bob]
