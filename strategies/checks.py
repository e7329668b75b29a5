"""A module of strategies that does not load is a configuration mistake, not a strategy that quietly is not there."""

from typing import Any

from django.core.checks import CheckMessage, Error

# What failed when the app was made ready: module or entry point → error.
problems: dict[str, str] = {}


def strategy_modules_load(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return [
        Error(
            f"{source}: Expected a module that registers strategies, was {error}.",
            hint="Correct or remove it: STRATEGY_MODULES in the environment, or the package with that entry point.",
            id="strategies.E001",
        )
        for source, error in sorted(problems.items())
    ]
