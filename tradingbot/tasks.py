"""The platform's own task: a heartbeat that has travelled through beat, broker and worker."""

from celery import shared_task
from django.utils import timezone

from tradingbot.liveness import WORKER, record_heartbeat


@shared_task
def heartbeat() -> None:
    record_heartbeat(WORKER, at=timezone.now())
