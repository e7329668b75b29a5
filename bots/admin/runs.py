"""The operator's view of runs: every field is looked at, actions call the same functions as pages."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.auth import actor_of
from bots import acting, lifecycle, settling, watch
from bots.admin.switch import SwitchActions
from bots.models import BotRun


@admin.register(BotRun)
class BotRunAdmin(SwitchActions):
    list_display = (
        "id",
        "user",
        "strategy",
        "symbol",
        "timeframe",
        "mode",
        "status",
        "capital",
        "held",
        "heartbeat_at",
    )
    list_filter = ("status", "mode", "exchange", "strategy")
    list_select_related = ("user", "strategy")
    search_fields = ("id", "user__email", "symbol")
    actions = ("stop_keep", "stop_close", "halt", "reduce", "flatten", "resume_trading", "settle_orders")

    @admin.action(description="Stop, keep the position")
    def stop_keep(self, request: HttpRequest, chosen: QuerySet[BotRun]) -> None:
        self._stop(request, chosen, "keep")

    @admin.action(description="Stop and sell the position")
    def stop_close(self, request: HttpRequest, chosen: QuerySet[BotRun]) -> None:
        self._stop(request, chosen, "close")

    def _stop(self, request: HttpRequest, chosen: QuerySet[BotRun], on_open_position: str) -> None:
        at = timezone.now()
        for run in chosen:
            lifecycle.stop(run, on_open_position, at, actor_of(request))
            watch.watch_run(run.pk, at)
        self.message_user(request, f"{chosen.count()} runs are stopping.", messages.SUCCESS)

    @admin.action(description="Settle orders now")
    def settle_orders(self, request: HttpRequest, chosen: QuerySet[BotRun]) -> None:
        at = timezone.now()
        done = [settling.settle_all(at, acting.worker_name(), run=run) for run in chosen]
        told = f"{sum(one.looked_at for one in done)} orders looked at, {sum(one.fills for one in done)} fills booked."
        self.message_user(request, told, messages.SUCCESS)
