"""What a worker does when its broker is lost: it stays, and comes back soon."""

from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker.consumer import Consumer

from tradingbot.celery import app
from tradingbot.consumer import RETRY_SECONDS, SteadyConsumer


class Connection:
    """Notes how it is asked to connect."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}

    def ensure_connection(self, *given: Any, **named: Any) -> "Connection":
        self.asked = named
        return self


def made(kind: type[Consumer]) -> Any:
    worker = SimpleNamespace(blueprint=None, use_eventloop=False)
    return kind(lambda message: None, app=app, hostname="test", controller=worker)


@pytest.fixture
def consumer() -> SteadyConsumer:
    return made(SteadyConsumer)  # type: ignore[no-any-return]


def test_workers_are_run_with_it() -> None:
    assert app.conf.worker_consumer == "tradingbot.consumer:SteadyConsumer"


def test_pauses_between_two_tries_stay_short(consumer: SteadyConsumer) -> None:
    connection = Connection()
    assert consumer.ensure_connected(connection) is connection
    assert connection.asked["interval_max"] == RETRY_SECONDS


def test_a_channel_without_its_connection_is_a_lost_connection(
    consumer: SteadyConsumer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def close(self: Consumer, exc: Exception) -> None:
        raise AttributeError("'NoneType' object has no attribute 'hostname'")

    monkeypatch.setattr(Consumer, "on_connection_error_after_connected", close)
    consumer.on_connection_error_after_connected(ConnectionError())
    assert "was not closed in full" in caplog.text
    # An acknowledgement that comes later meets the same.
    assert AttributeError in consumer.connection_errors
    assert set(made(Consumer).connection_errors) < set(consumer.connection_errors)
