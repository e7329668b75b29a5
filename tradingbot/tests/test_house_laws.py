"""The laws of docs/architecture.md that a program can check."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from tradingbot.tests.places import PROJECT

APPS = ("accounts", "exchanges", "strategies", "bots", "tradingbot")
FUNCTION_LINES, FILE_LINES = 40, 300
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "services", "service", "signals", "common", "misc", "managers"}
# A strategy's signal is a word of the domain.
ALLOWED_NAMES = {Path("strategies/core/signals.py")}
INTERFACES = {"views", "api"}
IMPURE = {"datetime.now", "datetime.utcnow", "date.today", "time.time", "time.monotonic", "os.environ", "os.getenv"}
IMPURE |= {"random.random", "random.Random", "timezone.now", "open", "print", "uuid.uuid4", "logging.getLogger"}
# What the cores never load, not even through somebody else.
HEAVY = ("django", "celery", "ccxt", "redis", "ninja", "requests", "kombu")


def sources() -> list[Path]:
    files = chain.from_iterable((PROJECT / app).rglob("*.py") for app in APPS)
    return sorted(path.relative_to(PROJECT) for path in files if not {"tests", "migrations"} & set(path.parts))


def is_core(path: Path) -> bool:
    return "core" in path.parts or path.parts[:2] == ("strategies", "library")


def tree(path: Path) -> ast.Module:
    return ast.parse((PROJECT / path).read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


SOURCES = sources()
CORES = [path for path in SOURCES if is_core(path)]


def each(paths: list[Path]):
    return pytest.mark.parametrize("path", paths, ids=str)


def test_there_is_something_to_check():
    assert len(SOURCES) > 50
    assert len(CORES) > 10


@each(SOURCES)
def test_file_fits_in_the_budget(path):
    assert len((PROJECT / path).read_text(encoding="utf-8").splitlines()) <= FILE_LINES


@each(SOURCES)
def test_functions_fit_on_a_screen(path):
    long = {node.name: node.end_lineno - node.lineno + 1 for node in functions(path)}
    assert {name: lines for name, lines in long.items() if lines > FUNCTION_LINES} == {}


def test_most_functions_are_short():
    lengths = sorted(node.end_lineno - node.lineno + 1 for path in SOURCES for node in functions(path))
    assert lengths[len(lengths) // 2] <= 8
    assert lengths[len(lengths) * 9 // 10] <= 25


def test_no_module_has_an_empty_name():
    named = {path for path in SOURCES if {path.stem, *path.parts} & EMPTY_NAMES}
    assert named - ALLOWED_NAMES == set()


@each([path for path in SOURCES if path.name != "__init__.py"])
def test_module_says_in_a_sentence_what_it_is(path):
    if path.name in {"apps.py", "__main__.py"} or not (PROJECT / path).read_text(encoding="utf-8").strip():
        return
    text = ast.get_docstring(tree(path))
    assert text, "Expected a module docstring."
    assert len(text.splitlines()[0]) <= 120


@each([path for path in SOURCES if INTERFACES & {path.stem, *path.parts}])
def test_interface_asks_no_manager_of_its_own(path):
    assert [
        node.lineno for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute) and node.attr == "objects"
    ] == []


@each(CORES)
def test_core_knows_no_clock_chance_environment_or_file(path):
    calls = {dotted(node.func) for node in ast.walk(tree(path)) if isinstance(node, ast.Call)}
    names = {dotted(node) for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}
    used = {
        name.removeprefix("datetime.") if name.count(".") > 1 else name for name in calls | (names & {"os.environ"})
    }
    assert {name for name in used if name in IMPURE} == set()


@each(CORES)
def test_core_alone_loads_nothing_heavy(path):
    module = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
    program = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}} & {set(HEAVY)!r}))"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False, env={"PATH": ""}
    )
    assert (result.returncode, result.stdout.strip()) == (0, ""), result.stderr


def test_starting_a_command_loads_no_ccxt():
    """It takes about a second; the first exchange that is opened loads it."""
    program = "import sys, django; django.setup(); import tradingbot.urls; print('ccxt' in sys.modules)"
    given = {"PATH": "", "DJANGO_SETTINGS_MODULE": "tradingbot.settings", "SECRET_KEY": "s" * 50}
    given["ENCRYPTION_KEY"] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False, env=given
    )
    assert (result.returncode, result.stdout.strip()) == (0, "False"), result.stderr


def test_order_state_is_written_in_one_place():
    """`order.state = …` and `update(state=…)` stand only where transitions are recorded."""
    found = set()
    for path in (path for path in SOURCES if path.parts[0] == "bots"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Assign) and any(dotted(target) == "order.state" for target in node.targets):
                found.add(str(path))
    assert len(found) <= 1, found
