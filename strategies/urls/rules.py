"""A user's rules; included under rules/."""

from django.urls import URLPattern, path

from strategies.views import rules

urlpatterns: list[URLPattern] = [
    path("", rules.rule_list, name="rules_list"),
    path("new/", rules.rule_new, name="rules_new"),
    path("<int:rule_set_id>/", rules.rule_edit, name="rules_edit"),
    path("<int:rule_set_id>/delete/", rules.rule_delete, name="rules_delete"),
    path("<int:rule_set_id>/rule.json", rules.rule_export, name="rules_export"),
]
