"""Account pages; include before allauth's under the same prefix, whose password door it narrows."""

from django.urls import URLPattern, path

from accounts import views

urlpatterns: list[URLPattern] = [
    path("", views.profile, name="accounts_profile"),
    path("theme/", views.theme, name="accounts_theme"),
    path("tokens/", views.tokens, name="accounts_tokens"),
    path("tokens/new/", views.token_create, name="accounts_token_create"),
    path("tokens/<int:token_id>/revoke/", views.token_revoke, name="accounts_token_revoke"),
    path("reauthenticate/", views.reauthenticate),
]
