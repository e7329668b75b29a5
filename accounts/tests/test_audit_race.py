"""Processes that write to the audit log at the same time never fork its chain."""

import contextlib
import os
import sqlite3
import subprocess
import sys

import pytest
from django.db import connection

from tradingbot.tests.places import PROJECT

WRITER = """
import django, sys
django.setup()
from datetime import datetime, UTC
from accounts import audit
from accounts.models import AuditEntry
for n in range(50):
    audit.record(audit.SYSTEM, "raced", sys.argv[1], at=datetime.now(UTC), n=n)
"""
VERIFIER = """
import django
django.setup()
from accounts import audit
from accounts.models import AuditEntry
print(AuditEntry.objects.count(), audit.first_break())
"""


def race(environment: dict[str, str]) -> str:
    """Four processes write fifty entries each at once; what the log then looks like."""
    base = [sys.executable, "-W", "error::RuntimeWarning"]
    writers = [
        subprocess.Popen([*base, "-c", WRITER, f"w:{n}"], cwd=PROJECT, env=environment, stderr=subprocess.PIPE)
        for n in range(4)
    ]
    errors = [writer.communicate(timeout=120)[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * 4, errors
    done = subprocess.run([*base, "-c", VERIFIER], cwd=PROJECT, env=environment, capture_output=True, check=True)
    return done.stdout.decode().strip()


def environment_of(database: str) -> dict[str, str]:
    settings = os.environ.get("DJANGO_SETTINGS_MODULE", "tradingbot.settings")
    return {**os.environ, "DJANGO_SETTINGS_MODULE": settings, "DATABASE_URL": database}


def test_processes_writing_at_once_never_fork_the_chain_on_sqlite(db, tmp_path):
    # A copy of the tests' own database has all tables already; this test's connection holds its write lock.
    tables, copy = sqlite3.connect(connection.settings_dict["NAME"]), sqlite3.connect(tmp_path / "a.sqlite3")
    with contextlib.closing(tables), contextlib.closing(copy):
        tables.backup(copy)
    assert race(environment_of(f"sqlite:///{tmp_path}/a.sqlite3")) == "200 None"


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_processes_writing_at_once_never_fork_the_chain_on_postgresql():
    url = os.environ["DATABASE_URL"].replace("/postgres?", f"/{connection.settings_dict['NAME']}?")
    assert race(environment_of(url)) == "200 None"
