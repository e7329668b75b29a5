#!/usr/bin/env python3
"""Django's command line; `manage.py up` also makes the embedded secrets first."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingbot.settings")
    if sys.argv[1:2] == ["up"]:
        from tradingbot.secrets import ensure_embedded_secrets

        ensure_embedded_secrets()
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # It names the variable to set; where in the settings it was read is of no use to who sets it.
        sys.exit(f"manage.py: {error}")


if __name__ == "__main__":
    main()
