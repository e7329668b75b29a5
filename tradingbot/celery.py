"""The Celery application; tasks carry ids only, the database is the queue of record."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init, worker_ready, worker_shutdown

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingbot.settings")
app = Celery("tradingbot")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_ready.connect
def announce(**_: object) -> None:
    # Through the broker, so that its arrival proves the whole way; whoever waits need not wait for beat.
    app.send_task("tradingbot.tasks.heartbeat")


watchmen: list[Any] = []


@worker_init.connect
def watch_exits(**_: object) -> None:
    # Not when it is ready: that waits for the broker. The models are loaded only once the worker is.
    from django.conf import settings

    from tradingbot.exits import Watchman, take_back

    take_back()
    watchman = Watchman(settings.EXITS_SCAN_SECONDS)
    watchmen.append(watchman)
    watchman.start()


@worker_shutdown.connect
def leave_exits(**_: object) -> None:
    while watchmen:
        watchmen.pop().stop()
