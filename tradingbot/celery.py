"""The Celery application; tasks carry ids only, the database is the queue of record."""

import os

from celery import Celery
from celery.signals import worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingbot.settings")
app = Celery("tradingbot")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_ready.connect
def announce(**_: object) -> None:
    # Through the broker, so that its arrival proves the whole way; whoever waits need not wait for beat.
    app.send_task("tradingbot.tasks.heartbeat")
