"""Pages of a user's rules: the list, the builder with its preview, deleting."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from accounts.auth import LARGEST_ID, actor_of, signed_in, user_of
from strategies import operations
from strategies.core.errors import RuleError
from strategies.core.rule_definition import parse_definition
from strategies.core.rule_draft import START, Draft, draft_of, edited, given, read
from strategies.core.rules import RuleStrategy
from strategies.models import MAX_DESCRIPTION, MAX_NAME, RuleSet, RuleSetVersion
from strategies.operations import RuleSetFacts, RuleSetProblem
from strategies.queries import previews, rules
from strategies.queries.previews import UnknownSource
from strategies.queries.rules import RuleSetView
from strategies.views.builder import fields_of
from strategies.views.drawing import chart

MOST_TEXT = 100_000


@dataclass(frozen=True, slots=True)
class Entries:
    """What the builder holds between two requests; ``version`` is the one that was read, 0 for a new rule."""

    name: str
    description: str
    draft: Draft
    source: str = ""
    version: int = 0
    json_text: str = ""


@signed_in
@require_GET
def rule_list(request: HttpRequest) -> HttpResponse:
    before = request.GET.get("before", "")
    position = min(int(before), LARGEST_ID) if before.isascii() and before.isdigit() and len(before) < 20 else None
    found, following = rules.rule_sets_of(user_of(request), limit=50, before=position)
    return render(request, "strategies/rule_list.html", {"rule_sets": found, "next": following})


@signed_in
@require_http_methods(["GET", "POST"])
def rule_new(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return _page(request, Entries("", "", START), None)
    return _answered(request, None)


@signed_in
@require_http_methods(["GET", "POST"])
def rule_edit(request: HttpRequest, rule_set_id: int) -> HttpResponse:
    """GET shows it, or with ``?version=`` an earlier one, which is restored by saving it."""
    rule_set = _mine(request, rule_set_id)
    if request.method == "POST":
        return _answered(request, rule_set)
    shown = _version(rule_set, request.GET.get("version", ""))
    draft = draft_of(parse_definition(shown.definition))
    return _page(request, Entries(shown.name, shown.description, draft, "", rule_set.version), rule_set)


@signed_in
@require_GET
def rule_export(request: HttpRequest, rule_set_id: int) -> HttpResponse:
    """The file that `rules_import` takes."""
    rule_set = _mine(request, rule_set_id)
    document = {"name": rule_set.name, "description": rule_set.description, "definition": rule_set.definition}
    response = HttpResponse(json.dumps(document, indent=2), content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="rule-{rule_set.pk}.json"'
    return response


@signed_in
@require_http_methods(["GET", "POST"])
def rule_delete(request: HttpRequest, rule_set_id: int) -> HttpResponse:
    rule_set = _mine(request, rule_set_id)
    if request.method == "POST":
        try:
            operations.delete_rule_set(rule_set, timezone.now(), actor_of(request), in_use=rules.in_use)
        except RuleSetProblem:
            return _delete_page(request, rule_set, status=409)
        messages.success(request, f"The rule {rule_set.name} is deleted. What was made from it keeps its settings.")
        return redirect("rules_list")
    return _delete_page(request, rule_set)


def _delete_page(request: HttpRequest, rule_set: RuleSet, status: int = 200) -> HttpResponse:
    partial = bool(getattr(request, "htmx", False))
    context = {"rule_set": rule_set, "in_use": rules.in_use(rule_set)}
    name = "strategies/_rule_delete_form.html" if partial else "strategies/rule_delete.html"
    return render(request, name, context, status=status)


def _mine(request: HttpRequest, rule_set_id: int) -> RuleSet:
    try:
        return rules.rule_set_model(user_of(request), min(rule_set_id, LARGEST_ID))
    except RuleSet.DoesNotExist:
        raise Http404 from None


def _version(rule_set: RuleSet, text: str) -> RuleSet | rules.VersionView:
    if not text:
        return rule_set
    try:
        return rules.version_of(rule_set, int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0)
    except RuleSetVersion.DoesNotExist:
        raise Http404 from None


def _answered(request: HttpRequest, rule_set: RuleSet | None) -> HttpResponse:
    """A button or a change redraws the form; only "save" stores."""
    entries, action = _entries(request.POST), request.POST.get("do", "")
    if action == "save":
        return _saved(request, entries, rule_set)
    if action == "json":
        return _from_json(request, entries, rule_set)
    drawn = Entries(entries.name, entries.description, edited(entries.draft, action), entries.source, entries.version)
    return _page(request, drawn, rule_set)


def _entries(texts: Mapping[str, str]) -> Entries:
    version = texts.get("version", "")
    return Entries(
        name=texts.get("name", "")[: 2 * MAX_NAME],
        description=texts.get("description", "")[: 2 * MAX_DESCRIPTION],
        draft=read(texts),
        source=texts.get("source", ""),
        version=int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0,
        json_text=texts.get("json", "")[:MOST_TEXT],
    )


def _saved(request: HttpRequest, entries: Entries, rule_set: RuleSet | None) -> HttpResponse:
    facts = RuleSetFacts(entries.name, entries.description, given(entries.draft))
    at, actor = timezone.now(), actor_of(request)
    try:
        if rule_set is None:
            kept = operations.create_rule_set(user_of(request), facts, at, actor)
        else:
            kept = operations.update_rule_set(rule_set, facts, at, actor, expected_version=entries.version or None)
    except ValidationError as error:
        return _page(request, entries, rule_set, error.message_dict, 422)
    except RuleSetProblem as problem:
        return _page(request, entries, rule_set, {"name": [str(problem)]}, 409)
    except RuleSet.DoesNotExist:
        raise Http404 from None
    messages.success(request, f"{kept.name} is kept as version {kept.version}. No bot was changed.")
    return redirect("rules_edit", kept.pk)


def _from_json(request: HttpRequest, entries: Entries, rule_set: RuleSet | None) -> HttpResponse:
    """The text of the field JSON becomes the form."""
    try:
        document = json.loads(entries.json_text)
        inner = document.get("definition", document) if isinstance(document, dict) else document
        draft = draft_of(parse_definition(inner))
    except RuleError as error:
        return _page(request, entries, rule_set, {"json": [str(error)]}, 422)
    except (ValueError, RecursionError):
        return _page(request, entries, rule_set, {"json": ["Expected JSON."]}, 422)
    return _page(request, Entries(entries.name, entries.description, draft, entries.source, entries.version), rule_set)


def _page(
    request: HttpRequest,
    entries: Entries,
    rule_set: RuleSet | None,
    errors: Mapping[str, list[str]] | None = None,
    status: int = 200,
) -> HttpResponse:
    error, strategy = _judged(entries.draft)
    others = {name: texts for name, texts in (errors or {}).items() if name != "definition"}
    context: dict[str, Any] = {
        "entries": entries,
        "fields": fields_of(entries.draft, error),
        "others": others,
        "strategy": strategy,
        "view": rules.view_of(rule_set) if rule_set else None,
        "versions": rules.versions_of(rule_set) if rule_set else [],
        "json_text": entries.json_text or (json.dumps(strategy.params["definition"], indent=2) if strategy else ""),
        "max_name": MAX_NAME,
        "max_description": MAX_DESCRIPTION,
        **_preview(strategy, entries.source),
    }
    if rule_set:
        context["links"] = _links(rules.view_of(rule_set))
    partial = bool(getattr(request, "htmx", False))
    if partial:
        # HTMX shows no answer of 4xx, and the errors are part of what it is to show.
        return render(request, "strategies/_rule_builder.html", context)
    return render(request, "strategies/rule_builder.html", context, status=status)


def _judged(draft: Draft) -> tuple[RuleError | None, RuleStrategy | None]:
    try:
        parse_definition(given(draft))
    except RuleError as error:
        return error, None
    return None, RuleStrategy(given(draft))


def _preview(strategy: RuleStrategy | None, key: str) -> dict[str, Any]:
    """The chart of a rule that is one, over the chosen candles or else the demo market's."""
    try:
        source = previews.source_of(key)
        seen = previews.preview_of(strategy, source) if strategy else None
    except UnknownSource:
        source = previews.FIRST
        seen = previews.preview_of(strategy, source) if strategy else None
    return {"source": source, "sources": previews.sources(), "seen": seen, "chart": chart(seen) if seen else None}


def _links(view: RuleSetView) -> dict[str, str]:
    """Where a run and a backtest begin, filled in with this version of the rule."""
    query = urlencode({"strategy": RuleStrategy.name, "rule_set": view.id})
    return {"bot": f"{reverse('bots_new')}?{query}", "backtest": f"{reverse('bots_backtests_new')}?{query}"}
