#!/usr/bin/env python3
"""Django's command line; `manage.py up` also makes the embedded secrets first."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingbot.settings")
    if sys.argv[1:2] == ["up"]:
        from tradingbot.secrets import ensure_embedded_secrets

        ensure_embedded_secrets()
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
