"""The operator's view of backtests, sweeps and downloads: how far they are, and an end to those nobody needs."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.auth import actor_of
from bots import backtests, downloads, lifecycle, research_tasks, sweeps
from bots.admin.base import WithActions
from bots.models import Backtest, CandleDownload, Sweep


class JobAdmin(WithActions):
    """Every field is shown but the packed ones; the actions call what the pages call."""

    list_filter = ("state", "exchange", "timeframe")
    list_select_related = ("owner",)
    search_fields = ("id", "owner__email", "symbol")
    actions: tuple[str, ...] = ("cancel",)
    packed: ClassVar[tuple[str, ...]] = ()
    canceled_by: ClassVar[Any] = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer(*self.packed)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return [name for name in super().get_readonly_fields(request, obj) if name not in self.packed]

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.packed

    @admin.action(description="Cancel")
    def cancel(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        for row in chosen:
            type(self).canceled_by(row, timezone.now(), actor_of(request))
        self.message_user(request, "Canceled, unless they were done before.", messages.SUCCESS)


@admin.register(Backtest)
class BacktestAdmin(JobAdmin):
    list_display = ("id", "owner", "kind", "strategy", "symbol", "timeframe", "state", "progress", "created_at")
    packed = ("result", "equity")
    canceled_by = staticmethod(backtests.cancel)


@admin.register(Sweep)
class SweepAdmin(JobAdmin):
    list_display = ("id", "owner", "strategy", "symbol", "timeframe", "sets", "state", "progress", "created_at")
    packed = ("result",)
    canceled_by = staticmethod(sweeps.cancel)


@admin.register(CandleDownload)
class CandleDownloadAdmin(JobAdmin):
    list_display = (
        *("id", "owner", "exchange", "symbol", "timeframe", "state", "progress", "added", "candles_per_second"),
        *("error", "created_at"),
    )
    actions = ("cancel", "resume")
    canceled_by = staticmethod(downloads.cancel)

    @admin.action(description="Go on with what failed or was canceled")
    def resume(self, request: HttpRequest, chosen: QuerySet[CandleDownload]) -> None:
        for row in chosen:
            try:
                downloads.resume(row, timezone.now(), actor_of(request))
            except lifecycle.Conflict as refused:
                self.message_user(request, f"{row.pk}: {refused.detail}", messages.ERROR)
            else:
                research_tasks.ring(research_tasks.research_download, row.pk)
