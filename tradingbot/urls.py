"""URLs: pages under /app/, the administration, two documents, and JSON everywhere else."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from tradingbot import documents, json_paths
from tradingbot.api import api

urlpatterns = [
    path("", RedirectView.as_view(url="/app/", query_string=False)),
    path("app", RedirectView.as_view(url="/app/", query_string=False)),
    path(settings.ADMIN_PATH.rstrip("/"), RedirectView.as_view(url=f"/{settings.ADMIN_PATH}", query_string=False)),
    # Ours first: it tightens allauth's own re-authentication.
    path("app/account/", include("accounts.urls")),
    path("app/account/", include("allauth.urls")),
    path("app/", include("bots.urls")),
    path(settings.ADMIN_PATH, admin.site.urls),
    path("docs", documents.docs, name="docs"),
    path("redoc", documents.redoc, name="redoc"),
    path("openapi.json", documents.openapi, name="openapi"),
    path("", api.urls),
    # Everything else outside the pages is JSON: no page, and no redirect that would add a slash.
    re_path(rf"^(?!app/|static/|{settings.ADMIN_PATH})", json_paths.not_found),
]
