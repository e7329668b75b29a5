"""What a strategy is, and the registry of those that exist."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar, overload

import numpy as np

from exchanges.core.candles import Candles
from strategies.core.errors import UnknownStrategy
from strategies.core.history import candles_of, holding_of
from strategies.core.parameters import Parameter, Value, json_schema, parse, validate
from strategies.core.plan import Plan
from strategies.core.signals import Action, Signals, Verdict

__all__ = ["BaseStrategy", "StrategyRegistry", "UnknownStrategy"]


class BaseStrategy:
    """An opinion about candles: override `signals` (vectorised, fast) or `execute` (once per candle).

    Either must be a pure function of what it is given: the same candles, the same answer. A subclass that overrides
    only `execute` is asked once per closed candle; one that overrides `signals` gets `execute` from it.
    """

    name: ClassVar[str] = ""
    version: ClassVar[str] = "1"
    description: ClassVar[str] = ""
    formula: ClassVar[str] = ""
    does_badly_when: ClassVar[str] = ""
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    # False where a list of closes is not enough: the strategy reads highs, lows, volumes or times.
    closes_suffice: ClassVar[bool] = True

    # Values for what has no default, so that the catalogue can show the strategy at work.
    example: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    params: Mapping[str, Value] = MappingProxyType({})
    _vectorised: ClassVar["type[BaseStrategy] | None"] = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "signals" in vars(cls):
            cls._vectorised = cls
        elif "execute" in vars(cls):
            # The override is the more derived of the two, so candles are put to it and not to what it inherits.
            cls.signals = BaseStrategy.signals  # type: ignore[method-assign]
            cls.reason = vars(cls).get("reason", BaseStrategy.reason)  # type: ignore[method-assign]

    def __init__(self, *values: object, **given: object) -> None:
        """Parameters by position or name (aliases too); raises ParameterError."""
        if len(values) > len(self.parameters):
            raise TypeError(f"Expected at most {len(self.parameters)} parameters, was {len(values)}.")
        by_position = {parameter.name: value for parameter, value in zip(self.parameters, values, strict=False)}
        if twice := by_position.keys() & given.keys():
            raise TypeError(f"Expected {', '.join(sorted(twice))} once, was given twice.")
        self.params = MappingProxyType(self.validate({**by_position, **given}))
        for name, value in self.params.items():
            setattr(self, name, value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.params.items())})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.params == other.params

    def __hash__(self) -> int:
        return hash((type(self), tuple(self.params.items())))

    @classmethod
    def validate(cls, given: Mapping[str, object]) -> dict[str, Value]:
        """The given parameters typed, defaults filled in; raises ParameterError."""
        return validate(cls.parameters, given, cls.check)

    @classmethod
    def parse(cls, texts: Mapping[str, object]) -> dict[str, Value]:
        """As `validate`, from the texts of a form or a command line."""
        return parse(cls.parameters, texts, cls.check)

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Mapping[str, str]:
        """Errors, by parameter, about how the values go together."""
        return {}

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        return json_schema(cls.parameters)

    @property
    def protections(self) -> Mapping[str, str]:
        """Limits that belong to the opinion itself (stop_loss_pct, …): a run keeps them unless it was told others."""
        return {}

    @property
    def plan(self) -> Plan | None:
        """Several stakes, or a grid of orders; `signals` must carry it too. None: all in and all out."""
        return None

    @property
    def words(self) -> list[str]:
        """The opinion in plain sentences, with this instance's parameters."""
        return [self.description]

    @property
    def minimum(self) -> int:
        """Candles until the first opinion."""
        return 1

    @property
    def warmup(self) -> int:
        """Candles after which the last opinion is what all of history would say; raise it where more is remembered."""
        return 500

    def warmup_on(self, timeframe_ms: int) -> int:
        """`warmup` for one timeframe, where they differ."""
        return self.warmup

    def signals(self, candles: Candles) -> Signals:
        """The opinion on every candle. Here: by asking an overridden `execute` once per candle, flat and holding."""
        if type(self).execute is BaseStrategy.execute:
            raise TypeError(f"{type(self).__name__}: Expected signals or execute to be overridden, was neither.")
        return replayed(self, candles)

    def reason(self, signals: Signals, index: int, holding: bool) -> str:
        """Why the opinion at this candle is what it is, with the numbers filled in."""
        return signals.said.get((index % len(signals), holding), "")

    def execute(self, ticker_data: dict[str, Any], context: dict[str, Any]) -> Verdict:
        """The opinion on the last candle of the history in ``ticker_data`` (see `strategies.core.history`).

        ``context`` may say ``holding`` or ``position``: one that holds gets only exits, one that is flat only
        entries; when it does not say, an entry counts before an exit.
        """
        kind = self._vectorised
        if kind is None:
            raise TypeError(f"{type(self).__name__}: Expected signals or execute to be overridden, was neither.")
        signals = kind.signals(self, candles_of(ticker_data, closes_suffice=self.closes_suffice))
        if not len(signals) or not signals.ready[-1]:
            return Verdict(signal=Action.HOLD.value, confidence=0.0, reason=self.warming_up(len(signals)))
        holding = holding_of(context)
        if holding is None:
            holding = bool(signals.exit[-1] and not signals.entry[-1])
        action = signals.action(-1, holding=holding)
        confidence = 0.0 if action is Action.HOLD else float(signals.confidence[-1])
        return Verdict(signal=action.value, confidence=confidence, reason=kind.reason(self, signals, -1, holding))

    def warming_up(self, count: int) -> str:
        return f"Warming up: {count} of the {self.minimum} closed candles that a first opinion needs."


def replayed(strategy: BaseStrategy, candles: Candles) -> Signals:
    """The columns of a strategy that only has `execute`, which sees at most its warm-up, as it does live."""
    count = len(candles)
    entry, exit_ = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    confidence, said = np.zeros(count), dict[tuple[int, bool], str]()
    rows, closes = candles.rows(), candles.close.tolist()
    for index in range(count):
        window = slice(max(0, index + 1 - strategy.warmup), index + 1)
        ticker_data = _ticker_data(candles[window], rows[window], closes[window])
        for holding, flags, wanted in ((False, entry, Action.BUY), (True, exit_, Action.SELL)):
            verdict = strategy.execute(dict(ticker_data), _context(holding))
            _check_verdict(strategy, verdict)
            flags[index] = verdict["signal"] == wanted
            if flags[index]:
                confidence[index] = max(confidence[index], verdict["confidence"])
            if flags[index] or index == count - 1:
                said[index, holding] = str(verdict["reason"])
    ready = np.arange(count) + 1 >= strategy.minimum
    return Signals(entry, exit_, ready, confidence, said=said)


def _ticker_data(candles: Candles, rows: list[list[float]], closes: list[float]) -> dict[str, Any]:
    names = ("closes", "close_prices", "prices")
    return {
        "candles": candles,
        "ohlcv": rows,
        **dict.fromkeys(names, closes),
        "price": closes[-1],
        "opened_at": int(candles.opened_at[-1]),
    }


def _context(holding: bool) -> dict[str, Any]:
    return {"holding": holding, "position": Decimal(1) if holding else None}


def _check_verdict(strategy: BaseStrategy, verdict: Verdict) -> None:
    if verdict["signal"] not in tuple(Action) or not 0.0 <= verdict["confidence"] <= 1.0:
        raise ValueError(
            f"{strategy.name or type(strategy).__name__}: Expected BUY, SELL or HOLD with a confidence from 0 to 1,"
            f" was {verdict['signal']!r} with {verdict['confidence']!r}."
        )


Kind = TypeVar("Kind", bound=type[BaseStrategy])


class StrategyRegistry:
    """The strategies that this process knows, by name."""

    _known: ClassVar[dict[str, type[BaseStrategy]]] = {}

    @overload
    @classmethod
    def register(cls, strategy: Kind) -> Kind: ...
    @overload
    @classmethod
    def register(cls, strategy: str, implementation: Kind) -> Kind: ...
    @overload
    @classmethod
    def register(cls, strategy: str) -> Callable[[Kind], Kind]: ...
    @classmethod
    def register(cls, strategy: Any, implementation: Any = None) -> Any:
        """As ``@register``, ``@register("name")``, ``register(Class)`` or ``register("name", Class)``.

        Raises ValueError when the name is taken by another class, TypeError for what is no strategy.
        """
        if isinstance(strategy, str) and implementation is None:
            return lambda decorated: cls.register(strategy, decorated)
        name, kind = (strategy, implementation) if isinstance(strategy, str) else (None, strategy)
        if not (isinstance(kind, type) and issubclass(kind, BaseStrategy)):
            raise TypeError(f"Expected a subclass of BaseStrategy, was {kind!r}.")
        if kind._vectorised is None and kind.execute is BaseStrategy.execute:
            raise TypeError(f"{kind.__name__}: Expected signals or execute to be overridden, was neither.")
        cls._add(name or kind.name, kind)
        return kind

    @classmethod
    def _add(cls, name: str, kind: type[BaseStrategy]) -> None:
        if not name:
            raise ValueError(f"{kind.__name__}: Expected a name, was none.")
        taken = cls._known.get(name)
        if taken is not None and (taken.__module__, taken.__qualname__) != (kind.__module__, kind.__qualname__):
            raise ValueError(f"{name}: Expected a free name, was taken by {taken.__module__}.{taken.__qualname__}.")
        if kind.name != name:
            kind.name = name
        cls._known[name] = kind

    @classmethod
    def unregister(cls, name: str) -> None:
        cls._known.pop(name, None)

    @classmethod
    def get(cls, name: str) -> type[BaseStrategy]:
        """The class; raises UnknownStrategy, which lists the names."""
        try:
            return cls._known[name]
        except KeyError:
            raise UnknownStrategy(name, cls.list_all()) from None

    @classmethod
    def list_all(cls) -> list[str]:
        """The names, sorted."""
        return sorted(cls._known)
