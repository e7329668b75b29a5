"""What every page knows: the site's version, whether live trading is allowed at all, and how many cases are open."""

from functools import cache

from django.conf import settings
from django.http import HttpRequest

from bots.queries import cases


def site(request: HttpRequest) -> dict[str, object]:
    # A request that was refused before anybody was looked up is shown a page, too.
    user = getattr(request, "user", None)
    return {
        "version": settings.VERSION,
        "live_trading": settings.LIVE_TRADING,
        # Called by the template that shows it: a poll renders no navigation and asks for no count.
        "open_cases": cache(lambda: cases.open_count(user) if user and user.is_authenticated else 0),
    }
