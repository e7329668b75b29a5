"""Stored candles in the admin: what is covered, read-only."""

from typing import TYPE_CHECKING

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from exchanges.models import CandleChunk

if TYPE_CHECKING:
    ChunkAdmin = admin.ModelAdmin[CandleChunk]
else:
    ChunkAdmin = admin.ModelAdmin


@admin.register(CandleChunk)
class CandleChunkAdmin(ChunkAdmin):
    list_display = ("exchange", "symbol", "timeframe", "month", "candles", "missing", "zero_volume", "stored_at")
    list_filter = ("exchange", "timeframe", "symbol")
    date_hierarchy = "month"
    exclude = ("columns",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[CandleChunk]:
        return super().get_queryset(request).defer("columns")

    @admin.display(description="Missing")
    def missing(self, chunk: CandleChunk) -> int:
        return sum(count for _, count in chunk.gaps)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: CandleChunk | None = None) -> bool:
        return False
