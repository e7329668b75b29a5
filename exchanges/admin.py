"""Exchange keys in the administration: what they are and may do, never a secret, a ciphertext or a nonce."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.auth import actor_of
from accounts.core.keyring import Undecryptable
from exchanges import admin_candles as admin_candles
from exchanges import operations
from exchanges.core.errors import ExchangeFault
from exchanges.models import ExchangeKey

if TYPE_CHECKING:
    AnyAdmin = admin.ModelAdmin[Any]
else:
    AnyAdmin = admin.ModelAdmin


@admin.register(ExchangeKey)
class ExchangeKeyAdmin(AnyAdmin):
    list_display = (
        "id",
        "owner",
        "exchange",
        "label",
        "api_key_hint",
        "permissions",
        "can_withdraw",
        "ip_restricted",
        "last_checked_at",
        "deleted_at",
    )
    list_filter = ("exchange", "permissions", "can_withdraw")
    list_select_related = ("owner",)
    search_fields = ("owner__email", "label")
    fields = (*list_display, "key_id", "row_version", "created_at")
    readonly_fields = fields
    actions = ("check_permissions",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.action(description="Check permissions at the exchange", permissions=["view"])
    def check_permissions(self, request: HttpRequest, queryset: "QuerySet[ExchangeKey]") -> None:
        for key in queryset.filter(deleted_at=None):
            try:
                fresh = operations.check_key(key, timezone.now(), actor_of(request))
            except (ExchangeFault, Undecryptable) as problem:
                self.message_user(request, f"Key {key.pk}: {problem}", messages.ERROR)
            else:
                level = messages.WARNING if fresh.can_withdraw else messages.SUCCESS
                self.message_user(request, f"Key {key.pk}: {fresh.permissions}.", level)
