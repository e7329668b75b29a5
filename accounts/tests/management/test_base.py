import argparse
import io
import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.core.management import call_command
from django.db import OperationalError

from accounts.management.base import ConsoleCommand, Exit, Failure, clock, duration, instant
from accounts.models import AuditEntry


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Shy(LookupError):
    pass


class Example(ConsoleCommand):
    takes_at = True
    requires_system_checks = []
    failures = {**ConsoleCommand.failures, LookupError: Exit.NOT_FOUND}
    fault: BaseException | None = None
    question = ""

    def handle(self, *args, **options):
        if self.question:
            self.confirm(options, self.question)
        if self.fault:
            raise self.fault
        self.emit({"at": self.at(options)}, ["line one", "line two"])


def run(command: ConsoleCommand, *arguments: str, **options: object) -> str:
    out = io.StringIO()
    call_command(command, *arguments, stdout=out, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("fault", "code", "text"),
    [
        (ObjectDoesNotExist("No such run."), 3, "No such run."),
        (AuditEntry.DoesNotExist("AuditEntry matching query does not exist."), 3, "There is no such audit entry."),
        (Shy("gone"), 3, "gone"),
        (ValidationError("Too short."), 4, "Too short."),
        (ValidationError({"email": ["Bad.", "Long."]}), 4, "email: Bad. Long."),
        (PermissionDenied(), 5, "PermissionDenied"),
        (OperationalError("could not\n connect"), 6, "could not connect"),
        (KeyboardInterrupt(), 130, "Interrupted."),
        (Failure("own", 5), 5, "own"),
    ],
)
def test_failure_ends_with_its_code_and_one_line(fault, code, text):
    command = Example()
    command.fault = fault
    with pytest.raises(Failure) as caught:
        run(command)
    assert (caught.value.returncode, str(caught.value)) == (code, text)


def test_unlisted_exception_stays_a_bug():
    command = Example()
    command.fault = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        run(command)


def test_output_with_json_is_one_document_else_the_lines():
    at = "2026-01-31T14:00:00+07:00"
    assert json.loads(run(Example(), "--json", "--at", at)) == {"at": "2026-01-31T07:00:00Z"}
    assert run(Example()) == "line one\nline two\n"


def test_at_defaults_to_the_clock_and_takes_a_datetime():
    command = Example()
    assert abs(command.at({}) - datetime.now(UTC)) < timedelta(seconds=5)
    assert command.at({"at": datetime(2026, 1, 1, tzinfo=UTC)}) == datetime(2026, 1, 1, tzinfo=UTC)
    assert command.at({"at": "2026-01-01"}) == datetime(2026, 1, 1, tzinfo=UTC)


def test_json_values_keep_the_contract():
    @dataclass(frozen=True, slots=True)
    class Row:
        price: Decimal

    command = Example()
    command.stdout = io.StringIO()
    command.as_json = True
    command.emit(
        {
            "amounts": [Decimal("1E-8"), Decimal("2.500"), Decimal("-0"), Decimal(100)],
            "row": Row(Decimal("3.10")),
            "day": datetime(2026, 1, 2, tzinfo=UTC).date(),
            "id": UUID(int=1),
            "set": {1},
        }
    )
    assert json.loads(command.stdout.getvalue()) == {
        "amounts": ["0.00000001", "2.5", "0", "100"],
        "row": {"price": "3.1"},
        "day": "2026-01-02",
        "id": "00000000-0000-0000-0000-000000000001",
        "set": [1],
    }
    with pytest.raises(TypeError, match="was object"):
        command.emit({"x": object()})
    with pytest.raises(ValueError, match="JSON"):
        command.emit({"x": float("nan")})


def test_confirmation_without_a_terminal_is_refused_and_yes_grants_it(monkeypatch):
    command = Example()
    command.question = "Sell everything?"
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(Failure, match=r"Sell everything\? Expected --yes") as caught:
        run(command)
    assert caught.value.returncode == 5
    assert run(command, "--yes") == "line one\nline two\n"


@pytest.mark.parametrize(
    ("answer", "agreed"), [("y\n", True), ("YES\n", True), ("\n", False), ("no\n", False), ("", False)]
)
def test_confirmation_on_a_terminal_asks(monkeypatch, answer, agreed):
    command = Example()
    command.question = "Sell everything?"
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    stderr = io.StringIO()
    if agreed:
        assert run(command, stderr=stderr) == "line one\nline two\n"
    else:
        with pytest.raises(Failure, match="nothing was done"):
            run(command, stderr=stderr)
    assert "Sell everything? [y/N]" in stderr.getvalue()


def test_secret_comes_from_stdin_without_its_line_break(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(" pass word \r\n"))
    assert Example().read_secret("Password: ") == " pass word "


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_secret_that_is_no_text_is_refused_without_being_shown(monkeypatch, errors):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"hidden\xff\n"), "utf-8", errors))
    with pytest.raises(Failure, match="stdin: Expected text in UTF-8") as caught:
        Example().read_secret("Password: ")
    assert caught.value.returncode == 4
    assert "hidden" not in str(caught.value)


def test_progress_is_for_terminals_only():
    for stream, shown in ((io.StringIO(), False), (Terminal(), True)):
        command = Example(stderr=stream)
        command.progress("42 %")
        assert ("42 %" in stream.getvalue()) is shown


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "14:00", "0001-01-01T00:00+14:00"])
def test_instant_of_nonsense_is_a_usage_error(text):
    with pytest.raises(argparse.ArgumentTypeError, match="ISO-8601"):
        instant(text)


@pytest.mark.parametrize("text", ["1969-12-31", "9000-01-01", "9999-12-31T23:59:59Z", "0001-01-01"])
def test_clock_is_not_set_to_an_end_of_the_calendar(text):
    assert instant(text)
    with pytest.raises(argparse.ArgumentTypeError, match="year from 1970"):
        clock(text)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("12h", timedelta(hours=12)),
        ("4w", timedelta(weeks=4)),
    ],
)
def test_duration_reads_number_and_unit(text, length):
    assert duration(text) == length


@pytest.mark.parametrize("text", ["", "0d", "-1d", "d", "30", "1y", "9999999d", "36526d", "999999w", "1.5h"])
def test_duration_of_nonsense_is_a_usage_error(text):
    with pytest.raises(argparse.ArgumentTypeError, match="duration"):
        duration(text)
