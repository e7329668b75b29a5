"""What every command of ours shares: --json, --at, --yes, exit codes and one clear line on failure."""

import argparse
import dataclasses
import getpass
import json
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from typing import Any, ClassVar
from uuid import UUID

from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from accounts.core.decimals import plain

CENTURY = timedelta(days=36_525)
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Exit(IntEnum):
    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    INVALID = 4
    REFUSED = 5
    UNAVAILABLE = 6
    INTERRUPTED = 130


class Failure(CommandError):
    """Ends the command: the message as one line on stderr, ``returncode`` to the shell."""

    def __init__(self, message: object, returncode: int = Exit.FAILED) -> None:
        super().__init__(" ".join(str(message).split()), returncode=int(returncode))


class ConsoleCommand(BaseCommand):
    """A command that parses, makes one domain call and emits the result.

    ``failures`` says which domain exception ends with which code, the most specific class first; an app extends it with
    ``failures = {**ConsoleCommand.failures, UnknownSymbol: Exit.NOT_FOUND}``. What is not listed is a bug and keeps its
    traceback.
    """

    takes_at: ClassVar[bool] = False
    failures: ClassVar[Mapping[type[Exception], int]] = {
        ObjectDoesNotExist: Exit.NOT_FOUND,
        ValidationError: Exit.INVALID,
        PermissionDenied: Exit.REFUSED,
        OperationalError: Exit.UNAVAILABLE,
        InterfaceError: Exit.UNAVAILABLE,
    }
    as_json = False

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.add_argument("--json", action="store_true", help="Print exactly one JSON document on stdout.")
        parser.add_argument("--yes", action="store_true", help="Confirm what would be asked.")
        if self.takes_at:
            parser.add_argument("--at", type=clock, metavar="ISO", help="Take this instant (UTC) for the clock.")
        return parser

    def execute(self, *args: Any, **options: Any) -> str | None:
        self.as_json = bool(options.get("json"))
        try:
            return super().execute(*args, **options)
        except CommandError:
            raise
        except KeyboardInterrupt:
            raise Failure("Interrupted.", Exit.INTERRUPTED) from None
        except Exception as error:
            code = next((self.failures[kind] for kind in type(error).__mro__ if kind in self.failures), None)
            if code is None:
                raise
            raise Failure(message_of(error), code) from error

    def at(self, options: Mapping[str, Any]) -> datetime:
        """The instant of --at, else the wall clock's."""
        given = options.get("at")
        if given is None:
            return timezone.now()
        return given if isinstance(given, datetime) else clock(str(given))

    def confirm(self, options: Mapping[str, Any], question: str) -> None:
        """Return when the operator agrees; otherwise nothing may have been done yet, and exit with 5."""
        if options.get("yes"):
            return
        if not sys.stdin.isatty():
            raise Failure(f"{question} Expected --yes, since there is no terminal to ask on.", Exit.REFUSED)
        self.stderr.write(f"{question} [y/N] ", self.style.WARNING, ending="")
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            raise Failure("Not confirmed; nothing was done.", Exit.REFUSED)

    def read_secret(self, prompt: str) -> str:
        """A secret from stdin, without its last line break; typed unseen when stdin is a terminal."""
        try:
            text = getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.read()
            # In some locales other bytes are read as surrogates, which nothing can store or hash.
            text.encode()
        except UnicodeError:
            # The error itself would tell the secret.
            raise Failure("stdin: Expected text in UTF-8.", Exit.INVALID) from None
        return text.rstrip("\r\n")

    def emit(self, document: Mapping[str, Any] | list[Any], lines: Iterable[str] = ()) -> None:
        """The answer: the document with --json, else the lines."""
        if self.as_json:
            self.stdout.write(json.dumps(document, default=jsonable, allow_nan=False))
            return
        for line in lines:
            self.stdout.write(line)

    def progress(self, line: str) -> None:
        """One line over the last one on a terminal's stderr; nothing anywhere else."""
        if self.stderr.isatty():
            self.stderr.write(f"\r\x1b[K{line}", ending="")


def jsonable(value: object) -> object:
    """Decimals as plain strings, times as UTC with Z, dataclasses as objects."""
    match value:
        case Decimal():
            return plain(value)
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case UUID():
            return str(value)
        case set() | frozenset() | tuple():
            return list(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise TypeError(f"Expected a value that JSON can hold, was {type(value).__name__}.")


def message_of(error: Exception) -> str:
    if isinstance(error, ObjectDoesNotExist) and "matching query" in str(error):
        # Django's own words name the class: BotRun, whose command asked for a bot run.
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__qualname__.split(".")[0])
        return f"There is no such {words.lower()}."
    if isinstance(error, ValidationError):
        if hasattr(error, "error_dict"):
            return "; ".join(f"{name}: {' '.join(texts)}" for name, texts in error.message_dict.items())
        return " ".join(error.messages)
    return str(error) or type(error).__name__


def instant(text: str) -> datetime:
    """ISO-8601 as an aware UTC time; without an offset it is read as UTC."""
    try:
        value = datetime.fromisoformat(text.strip())
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"Expected an ISO-8601 time such as 2026-01-31T14:00:00Z, was {text!r}."
        ) from None


def clock(text: str) -> datetime:
    """An instant to act at: what is reckoned from it must stay within the calendar."""
    at = instant(text)
    if not 1970 <= at.year < 9000:
        raise argparse.ArgumentTypeError(f"Expected a year from 1970 to 8999, was {text!r}.")
    return at


def duration(text: str) -> timedelta:
    """A positive whole number with its unit: 90s, 15m, 12h, 30d, 4w; at most a century, which any clock can add."""
    match = re.fullmatch(r"([1-9]\d{0,5})([smhdw])", text.strip())
    length = timedelta(**{UNITS[match[2]]: int(match[1])}) if match else None
    if length is None or length > CENTURY:
        raise argparse.ArgumentTypeError(f"Expected a duration of at most 36525d, such as 12h or 4w, was {text!r}.")
    return length
