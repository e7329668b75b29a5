"""Icons as inline SVG, drawn by us; beside a word they are decoration and hidden from screen readers."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

PATHS: dict[str, str] = {
    "dashboard": "M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-3H4zM14 7h6V4h-6z",
    "bots": "M12 3v3M6 8h12a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2zM9 12v2M15 12v2",
    "trades": "M7 4v14M7 4 4 7M7 4l3 3M17 20V6M17 20l-3-3M17 20l3-3",
    "strategies": "M4 18 9 10l4 4 7-9M15 5h5v5",
    "keys": "M15 4a5 5 0 1 1-4.6 7L4 17.4V20h3v-2h2v-2h2l1.4-1.4A5 5 0 0 1 15 4zM16 8h.01",
    "risk": "M12 3 4.5 6v5.5c0 4.6 3.1 7.9 7.5 9.5 4.4-1.6 7.5-4.9 7.5-9.5V6zM12 8v5M12 16h.01",
    "account": "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20a7.5 7.5 0 0 1 15 0",
    "admin": "M4 7h10M18 7h2M4 17h2M10 17h10M14 5v4M8 15v4",
    "more": "M5 12h.01M12 12h.01M19 12h.01",
    "stop": "M8.5 3h7L21 8.5v7L15.5 21h-7L3 15.5v-7zM12 8v5M12 16h.01",
    "paper": "M6 3h8l4 4v14H6zM14 3v4h4M9 13h6M9 17h4",
    "live": "M13 2 5 14h6l-1 8 8-12h-6z",
    "pause": "M8 5v14M16 5v14",
    "play": "M7 4.5v15l12-7.5z",
    "square": "M6 6h12v12H6z",
    "plus": "M12 5v14M5 12h14",
    "check": "m5 12.5 4.5 4.5L19 7",
    "alert": "M12 4 2.8 19.5h18.4zM12 10v4M12 17h.01",
    "info": "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 11v5M12 8h.01",
    "csv": "M12 4v11M7.5 11l4.5 4.5L16.5 11M4 20h16",
    "clock": "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5l3 2",
    "api": "m8 7-5 5 5 5M16 7l5 5-5 5M13.5 5l-3 14",
    "synthetic": "M9 3h6M10 3v6l-5.5 9.5A1.7 1.7 0 0 0 6 21h12a1.7 1.7 0 0 0 1.5-2.5L14 9V3M7.5 15h9",
}


@register.simple_tag
def icon(name: str) -> SafeString:
    return format_html(
        '<svg class="icon" viewBox="0 0 24 24" width="18" height="18" fill="none" stroke="currentColor" '
        'stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">'
        '<path d="{}"/></svg>',
        PATHS[name],
    )
