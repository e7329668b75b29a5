"""The schedule in the database follows its declaration and keeps what an operator changed."""

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from tradingbot import schedule
from tradingbot.celery import app
from tradingbot.schedule import SCHEDULE, Periodic, sync_schedule


def row(name: str = "Heartbeat") -> PeriodicTask:
    return PeriodicTask.objects.get(name=name)


@pytest.mark.django_db
def test_schedule_is_written_as_declared():
    sync_schedule()
    assert PeriodicTask.objects.count() == len(SCHEDULE)
    for periodic in SCHEDULE:
        written = row(periodic.name)
        assert (written.task, written.expire_seconds, written.priority, written.enabled) == (
            periodic.task,
            periodic.expires,
            periodic.priority,
            True,
        )
        assert (written.interval.every, written.interval.period) == (periodic.every, "seconds")


@pytest.mark.django_db
def test_schedule_synced_twice_changes_nothing():
    sync_schedule()
    before, changed = row(), PeriodicTasks.last_change()
    sync_schedule()
    assert row().date_changed == before.date_changed
    assert PeriodicTasks.last_change() == changed


@pytest.mark.django_db
def test_operators_edits_stand():
    sync_schedule()
    slower, _ = IntervalSchedule.objects.get_or_create(every=60, period="seconds")
    edited = row()
    edited.interval, edited.enabled = slower, False
    edited.save()
    sync_schedule()
    assert (row().interval.every, row().enabled) == (60, False)


@pytest.mark.django_db
def test_new_declaration_is_taken_over_but_stays_disabled(monkeypatch):
    sync_schedule()
    PeriodicTask.objects.filter(name="Heartbeat").update(enabled=False)
    changed = Periodic("Heartbeat", "tradingbot.tasks.heartbeat", every=20, expires=20, priority=6)
    monkeypatch.setattr(schedule, "SCHEDULE", (changed,))
    sync_schedule()
    assert (row().interval.every, row().expire_seconds, row().enabled) == (20, 20, False)


@pytest.mark.django_db
def test_task_no_longer_declared_goes_and_an_operators_own_stays(monkeypatch):
    sync_schedule()
    every = IntervalSchedule.objects.first()
    PeriodicTask.objects.create(name="mine", task="tradingbot.tasks.heartbeat", interval=every)
    monkeypatch.setattr(schedule, "SCHEDULE", SCHEDULE[-1:])
    sync_schedule()
    assert set(PeriodicTask.objects.values_list("name", flat=True)) == {"mine", SCHEDULE[-1].name}


@pytest.mark.parametrize("periodic", SCHEDULE, ids=lambda periodic: periodic.task)
def test_task_that_is_scheduled_exists(periodic):
    app.autodiscover_tasks(force=True)
    assert periodic.task in app.tasks


def test_protective_tasks_come_first():
    priority = {periodic.task: periodic.priority for periodic in SCHEDULE}
    assert priority["bots.tasks.watch_positions"] < priority["bots.tasks.tick_due_markets"]
    last = {task for task in priority if priority[task] == max(priority.values())}
    assert last == {"bots.tasks.research_due", "bots.tasks.research_drift_due", "bots.tasks.prune_journal"}
