"""Strategies in the administration: looked at, switched on and off; and users' rule sets, which only they write."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.auth import actor_of
from strategies import operations
from strategies.models import RuleSet, RuleSetVersion, Strategy

if TYPE_CHECKING:
    AnyAdmin = admin.ModelAdmin[Any]
    AnyInline = admin.TabularInline[RuleSetVersion, RuleSet]
else:
    AnyAdmin = admin.ModelAdmin
    AnyInline = admin.TabularInline


@admin.register(Strategy)
class StrategyAdmin(AnyAdmin):
    list_display = ("name", "enabled", "version", "module", "synced_at", "missing_since")
    list_filter = ("enabled",)
    search_fields = ("name", "description")
    fields = ("name", "description", "enabled", "version", "parameters", "module", "synced_at", "missing_since")
    readonly_fields = fields
    actions = ("enable", "disable")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.action(description="Switch on", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Strategy]) -> None:
        self._switch(request, queryset, enabled=True)

    @admin.action(description="Switch off (for new runs and backtests)", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Strategy]) -> None:
        self._switch(request, queryset, enabled=False)

    def _switch(self, request: HttpRequest, queryset: QuerySet[Strategy], *, enabled: bool) -> None:
        at, actor = timezone.now(), actor_of(request)
        count = sum(operations.set_enabled(strategy, enabled, at, actor) for strategy in queryset)
        messages.success(request, f"Switched {'on' if enabled else 'off'}: {count}.")


class Versions(AnyInline):
    model = RuleSetVersion
    fields = ("version", "name", "definition", "created_at")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(RuleSet)
class RuleSetAdmin(AnyAdmin):
    list_display = ("id", "owner", "name", "version", "created_at", "updated_at", "deleted_at")
    list_select_related = ("owner",)
    search_fields = ("name", "owner__email")
    fields = (*list_display, "description", "definition")
    readonly_fields = fields
    inlines = (Versions,)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
