"""The test run's surroundings: made before Django reads its settings (loaded by `-p` in pyproject.toml)."""

import atexit
import contextlib
import os
import re
import shutil
import tempfile
from pathlib import Path

import hypothesis
import pytest

from tradingbot.tests import network
from tradingbot.tests.places import PROJECT

VARIABLES = re.findall(r"(?m)^#([A-Z_]+)=", (PROJECT / ".env.example").read_text(encoding="utf-8"))
# Not parts of the machine that .ci/run could install: data outside the checkout, container engines, advisories.
ALLOWED_SKIP = re.compile(r"recorded \w+ are not here|no container engine|no advisory service")
POSTGRES = "TEST_POSTGRES_URL"
servers = contextlib.ExitStack()


def isolate() -> None:
    """Replace the developer's configuration by one in which nothing can be harmed."""
    for name in VARIABLES:
        os.environ.pop(name, None)
        os.environ.pop(f"{name}_FILE", None)
    folder = tempfile.mkdtemp(prefix="tb-var-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # WhiteNoise warns of a folder that is not there, and a warning is an error here.
    Path(folder, "static").mkdir()
    os.environ |= {
        "SECRET_KEY": "a secret of the tests that nobody has to keep to themselves",
        "ENCRYPTION_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "VAR_DIR": folder,
        "LOG_LEVEL": "WARNING",
    }


def require_all() -> bool:
    return os.environ.get("REQUIRE_ALL", "") not in {"", "0"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--db",
        choices=("sqlite", "postgres"),
        default=os.environ.get("TEST_DATABASE") or "sqlite",
        help="where the database tests run (default: TEST_DATABASE, else sqlite)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    isolate()
    if early_config.known_args_namespace.db != "postgres":
        os.environ.pop(POSTGRES, None)
        return
    # The controller of parallel workers starts the one server that all of them use.
    if POSTGRES not in os.environ:
        from tradingbot.tests.servers import postgres

        os.environ[POSTGRES] = servers.enter_context(postgres())
    os.environ["DATABASE_URL"] = os.environ[POSTGRES]


def pytest_configure(config: pytest.Config) -> None:
    network.block()
    # A change is judged by the same examples at every run; new ones are searched for by night. On a busy machine
    # examples are drawn slowly, which is no test's fault.
    hypothesis.settings.register_profile(
        "unhurried",
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
        derandomize="NEW_EXAMPLES" not in os.environ,
    )
    hypothesis.settings.load_profile("unhurried")


def pytest_unconfigure(config: pytest.Config) -> None:
    servers.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test marked `postgres` runs on PostgreSQL: in that run, or in any run if it asks for its own server."""
    if config.getoption("db") == "postgres":
        return
    away = [
        item
        for item in items
        if item.get_closest_marker("postgres") and "postgres_url" not in getattr(item, "fixturenames", [])
    ]
    config.hook.pytest_deselected(items=away)
    items[:] = [item for item in items if item not in away]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):  # type: ignore[no-untyped-def]
    return _skip_becomes_failure((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):  # type: ignore[no-untyped-def]
    return _skip_becomes_failure((yield))


def _skip_becomes_failure(report):  # type: ignore[no-untyped-def]
    if require_all() and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not ALLOWED_SKIP.search(reason):
            report.outcome = "failed"
            report.longrepr = f"REQUIRE_ALL is set, and this was skipped: {reason}"
    return report
