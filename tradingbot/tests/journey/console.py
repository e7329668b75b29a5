"""The operator's console: commands as a shell runs them, with their exit codes, in this process."""

import io
import json
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from unittest.mock import patch

from django.core.management import CommandError, get_commands, load_command_class


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document that --json promises."""
        return json.loads(self.out)


def manage(name: str, *words: object, stdin: str = "") -> Answer:
    """As ``manage.py name words…`` without a terminal; only the connections stay open, for the test's transaction."""
    out, err = io.StringIO(), io.StringIO()
    command = load_command_class(get_commands()[name], name)
    command._called_from_command_line = True
    with patch.multiple(sys, stdin=io.StringIO(stdin), stdout=out, stderr=err):
        code = _exit_code(command, name, [str(word) for word in words])
    return Answer(code, out.getvalue(), err.getvalue())


def _exit_code(command: Any, name: str, words: list[str]) -> int:
    try:
        options = vars(command.create_parser("manage.py", name).parse_args(words))
        positional = options.pop("args", ())
        command.stdout, command.stderr = command.stdout.__class__(sys.stdout), command.stderr.__class__(sys.stderr)
        command.execute(*positional, **options)
    except SystemExit as end:
        return int(end.code or 0)
    except CommandError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.returncode
    return 0


def done(name: str, *words: object, stdin: str = "") -> Any:
    """The document of a command that must succeed."""
    answer = manage(name, *words, "--json", stdin=stdin)
    assert answer.code == 0, f"{name} ended with {answer.code}: {answer.err}"
    return answer.document


def iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
