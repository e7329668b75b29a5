"""The Celery application; tasks carry ids only, the database is the queue of record."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingbot.settings")
app = Celery("tradingbot")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
