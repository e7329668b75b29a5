"""The operator's view of drift reports: evidence, so looked at and never written."""

from django.contrib import admin

from bots.admin.base import ReadOnly
from bots.models import DriftReport


@admin.register(DriftReport)
class DriftReportAdmin(ReadOnly):
    list_display = ("id", "run", "day", "version", "state", "trades", "unexplained", "difference", "remainder", "note")
    list_filter = ("state", "day")
    list_select_related = ("run",)
    search_fields = ("run__id", "run__symbol", "run__user__email")
