"""What every page shares: a login that suits a poll, and 204 while nothing has changed."""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.core.exceptions import ObjectDoesNotExist
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

Found = TypeVar("Found")
PER_PAGE = 50
PER_TAB = 25
LARGEST_ID = 2**63 - 1
# What differs between two renderings of the same facts: how long ago something was, and form tokens.
AGES = re.compile(r'(<time class="age"[^>]*>)[^<]*')
TOKENS = re.compile(r'(name="csrfmiddlewaretoken" value=")[^"]*')


def found_or_404(read: Callable[[], Found]) -> Found:
    """What a query finds; somebody else's and nobody's thing look the same."""
    try:
        return read()
    except ObjectDoesNotExist:
        raise Http404 from None


def live_page(request: HttpRequest, name: str, context: Mapping[str, Any]) -> HttpResponse:
    """The page ``bots/<name>.html`` around its part ``bots/_<name>_live.html``, which alone answers a poll.

    A poll carries the version (a hash of what was rendered) that it shows, and gets 204 while that is still so.
    """
    part = render_to_string(f"bots/_{name}_live.html", dict(context), request)
    version = hashlib.sha256(TOKENS.sub(r"\1", AGES.sub(r"\1", part)).encode()).hexdigest()[:16]
    if _htmx(request) and request.GET.get("v") == version:
        return HttpResponse(status=204)
    query = request.GET.copy()
    query["v"] = version
    frame = {**context, "live_part": part, "live_url": f"{request.path}?{query.urlencode()}"}
    return render(request, "bots/_live.html" if _htmx(request) else f"bots/{name}.html", frame)


def dialog_page(request: HttpRequest, name: str, context: Mapping[str, Any], status: int = 200) -> HttpResponse:
    """A confirmation: its form alone for the dialog, around it a page without JavaScript."""
    template = f"bots/_{name}_form.html" if _htmx(request) else f"bots/{name}.html"
    return render(request, template, dict(context), status=status)


def digits(request: HttpRequest, name: str) -> int | None:
    """A small whole number of the address; anything else is None."""
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


def cursor(request: HttpRequest) -> int | None:
    """``?before=`` as an id; anything else is the first page."""
    text = request.GET.get("before", "")
    return min(int(text), LARGEST_ID) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _htmx(request: HttpRequest) -> bool:
    return bool(getattr(request, "htmx", False))
