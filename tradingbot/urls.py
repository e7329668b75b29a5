"""URLs: pages under /app/, the administration, and JSON everywhere else."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(url="/app/", query_string=False)),
    # Ours first: it tightens allauth's own re-authentication.
    path("app/account/", include("accounts.urls")),
    path("app/account/", include("allauth.urls")),
    path(settings.ADMIN_PATH, admin.site.urls),
]
