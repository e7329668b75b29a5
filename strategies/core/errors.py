"""What can go wrong between a person and a strategy.

LookupError
└── UnknownStrategy      choose one of the names it lists
ValueError
├── ParameterError       correct the parameters named in ``errors``
├── RuleError            correct the rule at ``path``
└── HistoryMissing       pass the candles (or the closes) along
"""

from collections.abc import Iterable, Mapping


class UnknownStrategy(LookupError):
    def __init__(self, name: str, names: Iterable[str]) -> None:
        self.name = name
        super().__init__(f"Expected one of {', '.join(names) or '(none is registered)'}, was {name!r}.")


class ParameterError(ValueError):
    """``errors``: parameter → what was expected, unknown names included."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        self.errors = dict(errors)
        super().__init__(" ".join(f"{name}: {message}" for name, message in self.errors.items()))


class RuleError(ValueError):
    """``path``: where in the definition, such as ``entry.all[0].right``."""

    def __init__(self, path: str, message: str) -> None:
        self.path, self.message = path, message
        super().__init__(f"{path}: {message}")


class HistoryMissing(ValueError):
    pass
