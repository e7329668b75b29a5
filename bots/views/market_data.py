"""Stored candles: what is covered, what is missing, a file read in after a look at it, and out again."""

import re
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.contrib import messages
from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import audit
from accounts.auth import actor_of, signed_in, user_of
from accounts.models import User
from bots.csv_answer import csv_answer
from bots.forms_research import ImportForm
from bots.queries.coverage import covered_markets
from bots.queries.downloads import recent_downloads
from bots.views.plots import coverage_bar
from bots.views.research_entries import known_markets
from exchanges import candle_store
from exchanges.adapters.candle_files import read_candle_file
from exchanges.core.candle_check import CandleReport
from exchanges.core.candle_csv import csv_lines
from exchanges.core.candle_pack import pack, unpack
from exchanges.core.candle_table import CandleFileError
from exchanges.core.candles import TIMEFRAMES, Candles, from_ms, timeframe_ms

#: How long a file that was looked at waits for the word to store it.
HELD_SECONDS = 1800
MOST_UNPACKED = 256 * 1024 * 1024
ODD = re.compile(r"[^A-Za-z0-9._-]+")


@signed_in
@require_GET
def candle_list(request: HttpRequest) -> HttpResponse:
    bars = [coverage_bar(covered) for covered in covered_markets()]
    context = {"at": timezone.now(), "bars": bars, "downloads": recent_downloads(user_of(request))}
    return render(request, "bots/candles_list.html", context)


@dataclass(frozen=True, slots=True)
class Held:
    """A file's candles, packed, between the look at them and the word to store them."""

    market: tuple[str, str, str]
    name: str
    packed: bytes


@dataclass(frozen=True, slots=True)
class Overlap:
    """Candles of a file against what is stored already."""

    added: int
    replaced: int
    same: int


@signed_in
@require_http_methods(["GET", "POST"])
def candle_import(request: HttpRequest) -> HttpResponse:
    """GET shows the form; POST reads the file and shows what it holds. Nothing is stored by either."""
    user, at = user_of(request), timezone.now()
    form = ImportForm(request.POST or None, request.FILES or None)
    context: dict[str, Any] = {"form": form, **known_markets()}
    if request.method == "GET":
        return render(request, "bots/candles_import.html", context)
    if not form.is_valid():
        return render(request, "bots/candles_import.html", context, status=422)
    given = form.cleaned_data
    market = (given["exchange"], given["symbol"], given["timeframe"])
    try:
        candles, found = _read(given["file"], market[2], given["time"])
    except CandleFileError as error:
        form.add_error("file", f"{error} Nothing was stored.")
        return render(request, "bots/candles_import.html", context, status=422)
    token = uuid.uuid4().hex
    cache.set(_key(user, token), Held(market, given["file"].name[:100], pack(candles)), HELD_SECONDS)
    return render(request, "bots/candles_preview.html", {
        "at": at, "token": token, "market": market, "name": given["file"].name, "found": found, "label": given["time"],
        "overlap": overlap(market, candles), "first": _samples(candles[:3]), "last": _samples(candles[-2:]),
        "longest": sorted(found.gaps, key=lambda gap: -gap.missing)[:10],
    })  # fmt: skip


def _read(file: Any, timeframe: str, label: Any) -> tuple[Candles, CandleReport]:
    """Raises CandleFileError."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "f" + ODD.sub("_", Path(file.name).name)[-80:].lower())
        with path.open("wb") as copy:
            for chunk in file.chunks():
                copy.write(chunk)
        return read_candle_file(path, timeframe, timezone.now(), label, MOST_UNPACKED)


def overlap(market: tuple[str, str, str], candles: Candles) -> Overlap:
    if not len(candles):
        return Overlap(0, 0, 0)
    end = from_ms(int(candles.opened_at[-1]) + timeframe_ms(market[2]))
    stored = candle_store.load(*market, from_ms(int(candles.opened_at[0])), end)
    known = {row[0]: row for row in map(tuple, stored.rows())}
    here = [known[row[0]] == row for row in map(tuple, candles.rows()) if row[0] in known]
    return Overlap(len(candles) - len(here), len(here) - sum(here), sum(here))


def _samples(candles: Candles) -> list[tuple[Any, ...]]:
    return [
        (from_ms(int(row[0])), *(f"{value:,.8f}".rstrip("0").rstrip(".") for value in row[1:]))
        for row in candles.rows()
    ]


@signed_in
@require_POST
def candle_store_held(request: HttpRequest) -> HttpResponse:
    """Store what was looked at. All users share the stored candles, so that only staff may change known ones."""
    user, at = user_of(request), timezone.now()
    key = _key(user, request.POST.get("token", "")[:64])
    held: Held | None = cache.get(key)
    if held is None:
        messages.error(request, "Nothing was stored: the file was looked at too long ago. Please choose it again.")
        return redirect("bots_candles_import")
    candles = unpack(held.packed)
    if overlap(held.market, candles).replaced and not user.is_staff:
        messages.error(
            request, "Nothing was stored: some candles differ from stored ones, which only staff may replace."
        )
        return redirect("bots_candles_import")
    saved = candle_store.save(*held.market, candles, f"imported from {held.name}", at)
    cache.delete(key)
    facts = {"added": saved.added, "replaced": saved.replaced, "file": held.name}
    audit.record(actor_of(request), "candles.imported", f"candles:{' '.join(held.market)}", at=at, **facts)
    counts = f"{saved.added:,} added, {saved.replaced:,} replaced, {saved.unchanged:,} known"
    messages.success(request, f"{' '.join(held.market)}: {counts}.")
    return redirect("bots_candles_list")


def _key(user: User, token: str) -> str:
    return f"candles:{user.pk}:{ODD.sub('_', token)}"


@signed_in
@require_GET
def candle_export(request: HttpRequest) -> HttpResponseBase:
    """``?exchange=&symbol=&timeframe=`` as CSV."""
    exchange, symbol, timeframe = (request.GET.get(name, "") for name in ("exchange", "symbol", "timeframe"))
    if timeframe not in TIMEFRAMES:
        raise Http404
    candles = candle_store.load(exchange, symbol, timeframe)
    if not len(candles):
        raise Http404
    name = ODD.sub("-", f"{exchange}-{symbol}-{timeframe}")
    return csv_answer(request, (f"{line}\n" for line in csv_lines(candles)), f"{name}.csv")
