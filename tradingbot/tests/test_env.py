"""Variables that are malformed stop the process and say which one it was."""

import base64
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from tradingbot import env


def test_switches_take_on_and_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, value in (("on", True), ("TRUE", True), ("0", False), ("", False)):
        monkeypatch.setenv("LIVE_TRADING", text)
        assert env.envbool("LIVE_TRADING") is value
    monkeypatch.setenv("LIVE_TRADING", "maybe")
    with pytest.raises(ImproperlyConfigured, match="LIVE_TRADING"):
        env.envbool("LIVE_TRADING")


def test_numbers_lists_and_objects_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("N", " 12 ")
    monkeypatch.setenv("L", "a, b,,c")
    assert (env.envint("N", 1), env.envint("MISSING_N", 7), env.envlist("L")) == (12, 7, ["a", "b", "c"])
    path = tmp_path / "overrides.json"
    path.write_text('{"binance": {"timeout": 1}}')
    monkeypatch.setenv("J", str(path))
    assert env.envjson("J") == {"binance": {"timeout": 1}}
    assert env.envjson("MISSING_J") == {}


@pytest.mark.parametrize(("name", "text"), [("N", "twelve"), ("J", "{"), ("J", "/no/such/file"), ("J", '{"a"')])
def test_what_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(ImproperlyConfigured, match=name):
        env.envint(name, 0) if name == "N" else env.envjson(name)


@pytest.mark.parametrize("text", ["-1", "0", "8", "1.5", "1e1", "９", "9" * 5000])
def test_a_number_out_of_its_bounds_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("N", text)
    with pytest.raises(ImproperlyConfigured, match="N: Expected a whole number from 1 to 7"):
        env.envint("N", 5, least=1, most=7)


def test_a_log_level_is_one_of_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, level in (("", "INFO"), ("debug", "DEBUG"), (" WARNING ", "WARNING")):
        monkeypatch.setenv("LOG_LEVEL", text)
        assert env.envlevel("LOG_LEVEL", "INFO") == level
    monkeypatch.setenv("LOG_LEVEL", "loud")
    with pytest.raises(ImproperlyConfigured, match="LOG_LEVEL: Expected one of CRITICAL, ERROR"):
        env.envlevel("LOG_LEVEL", "INFO")


def test_a_file_that_is_no_text_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for path in (str(tmp_path / "binary"), str(tmp_path), "x" * 5000):
        monkeypatch.setenv("J", path)
        monkeypatch.setenv("S_FILE", path)
        with pytest.raises(ImproperlyConfigured, match="J: Expected a readable text file"):
            env.envjson("J")
        with pytest.raises(ImproperlyConfigured, match="S_FILE: Expected a readable text file"):
            env.envsecret("S", tmp_path)


def test_an_encryption_key_is_32_random_bytes() -> None:
    key = bytes(range(32))
    assert env.encryption_key("ENCRYPTION_KEY", base64.b64encode(key).decode()) == key
    for wrong in ("", "not base64!", base64.b64encode(b"short").decode(), base64.b64encode(bytes(32)).decode()):
        with pytest.raises(ImproperlyConfigured, match="ENCRYPTION_KEY") as caught:
            env.encryption_key("ENCRYPTION_KEY", wrong)
        assert not wrong or wrong not in str(caught.value)


def test_a_secret_comes_from_the_variable_the_file_or_var(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("S", raising=False)
    with pytest.raises(ImproperlyConfigured, match="S is not set"):
        env.envsecret("S", tmp_path)
    assert env.envsecret("S", tmp_path, required=False) == ""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "S").write_text("var\n")
    assert env.envsecret("S", tmp_path) == "var"
    (tmp_path / "given").write_text("file\n")
    monkeypatch.setenv("S_FILE", str(tmp_path / "given"))
    assert env.envsecret("S", tmp_path) == "file"
    monkeypatch.setenv("S", "variable")
    assert env.envsecret("S", tmp_path) == "variable"
    monkeypatch.setenv("S", "")
    monkeypatch.setenv("S_FILE", str(tmp_path / "gone"))
    with pytest.raises(ImproperlyConfigured, match="S_FILE"):
        env.envsecret("S", tmp_path)


def test_a_database_is_sqlite_or_postgresql(tmp_path: Path) -> None:
    assert env.database("", tmp_path)["NAME"] == str(tmp_path / "tradingbot.sqlite3")
    assert env.database("sqlite:////srv/a.sqlite3", tmp_path)["NAME"] == "/srv/a.sqlite3"
    found = env.database("postgresql://u:p%40ss@db:5433/name?sslmode=require", tmp_path)
    assert (found["USER"], found["PASSWORD"], found["HOST"], found["PORT"]) == ("u", "p@ss", "db", "5433")
    assert found["OPTIONS"]["sslmode"] == "require"
    assert env.database("postgresql:///name?host=/run/pg", tmp_path)["HOST"] == "/run/pg"
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL"):
        env.database("mysql://x", tmp_path)


def test_mail_goes_to_the_log_or_a_server() -> None:
    assert env.email("")["EMAIL_BACKEND"].endswith("console.EmailBackend")
    found = env.email("smtp+tls://me%40x.org:pw@mail.x.org")
    assert (found["EMAIL_HOST"], found["EMAIL_PORT"], found["EMAIL_HOST_USER"]) == ("mail.x.org", 587, "me@x.org")
    assert (found["EMAIL_USE_TLS"], found["EMAIL_USE_SSL"]) == (True, False)
    for wrong in ("http://mail", "smtp://", "smtp://me:pw@mail.x.org?tls=on"):
        with pytest.raises(ImproperlyConfigured, match="EMAIL_URL"):
            env.email(wrong)


@pytest.mark.parametrize("place", ["u:se#cret@h/db", "u:1#cret@h/db", "u:cret/x@h/db", "h:cret", "h:99999", "[::1/db"])
def test_a_broken_url_is_named_without_its_text(tmp_path: Path, place: str) -> None:
    for name, read in (
        ("DATABASE_URL", lambda: env.database(f"postgresql://{place}", tmp_path)),
        ("EMAIL_URL", lambda: env.email(f"smtp://{place}")),
        ("REDIS_URL", lambda: env.redis_server(f"redis://{place}")),
    ):
        with pytest.raises(ImproperlyConfigured, match=name) as caught:
            read()
        assert "cret" not in str(caught.value)


def test_redis_is_a_url_of_its_own_schemes() -> None:
    for url in ("", "redis://:pw@host:6379/0", "rediss://host", "unix:///run/redis.sock?db=1"):
        assert env.redis_server(url) == url
    for url in ("nonsense", "host:6379", "http://host"):
        with pytest.raises(ImproperlyConfigured, match="REDIS_URL"):
            env.redis_server(url)


def test_error_reports_without_their_package_are_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="SENTRY_DSN"):
        env.start_sentry("https://key@example.invalid/1", "0")
