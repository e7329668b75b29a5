"""Key pages that need nothing of the bots; included under keys/."""

from django.urls import URLPattern, path

from exchanges import views

urlpatterns: list[URLPattern] = [
    path("new/", views.key_new, name="exchanges_key_new"),
    path("<int:key_id>/check/", views.key_check, name="exchanges_key_check"),
]
