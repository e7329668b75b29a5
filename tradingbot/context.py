"""What every page knows: the site's version and whether live trading is allowed at all."""

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, object]:
    return {"version": settings.VERSION, "live_trading": settings.LIVE_TRADING}
