"""What the pages of backtests, sweeps and candles let a person type; the domain checks it again."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django import forms

from bots.core.sweep.plan import OBJECTIVES, PREFIX
from bots.core.sweep.plan import PROTECTIONS as SWEPT
from bots.forms import StrategyForm
from exchanges.core.candle_freqtrade import Named, named
from exchanges.core.candles import TIMEFRAMES

HUNDRED = Decimal(100)
#: Of one upload; a year of one-minute candles is about 35 MB as text.
MOST_BYTES = 48 * 1024 * 1024
STEPS = re.compile(r"(-?[\d.]+)\s*(?:to|\.\.|–)\s*(-?[\d.]+)\s*(?:step|by)\s*([\d.]+)", re.IGNORECASE)
#: How people say what the constraints of a sweep bound: field → (figure, which bound).
CONSTRAINTS = {
    "least_trades": ("closed_trades", "min"),
    "most_drawdown": ("max_drawdown_pct", "max"),
    "least_profit_factor": ("profit_factor", "min"),
}
OBJECTIVE_WORDS = {
    "sharpe_daily_365": "Sharpe ratio (daily, √365), highest",
    "sortino_daily_365": "Sortino ratio (daily, √365), highest",
    "return_pct": "Return, highest",
    "profit_factor": "Profit factor, highest",
    "win_rate_pct": "Win rate, highest",
    "avg_trade_return_pct": "Average trade, highest",
    "max_drawdown_pct": "Max drawdown, smallest",
}


def _typed(**attrs: str) -> forms.TextInput:
    return forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", **attrs})


def _percent(label: str, help_text: str, *, required: bool = True) -> forms.DecimalField:
    widget = _typed(inputmode="decimal")
    return forms.DecimalField(
        label=label, min_value=0, max_value=10, required=required, help_text=help_text, widget=widget
    )


class BacktestForm(StrategyForm):
    """What to replay, on which candles, at which costs."""

    strategy = forms.ChoiceField(widget=forms.RadioSelect)
    exchange = forms.CharField(label="Exchange", max_length=32, widget=_typed(list="exchanges"))
    symbol = forms.CharField(label="Market", max_length=32, widget=_typed(list="symbols"))
    timeframe = forms.ChoiceField(label="Candles of", choices=[(name, name) for name in TIMEFRAMES])
    since = forms.CharField(
        label="From (UTC)",
        required=False,
        max_length=40,
        help_text="Such as 2024-01-31 or 2024-01-31 14:00. Empty: from the first candle.",
        widget=_typed(placeholder="first candle"),
    )
    until = forms.CharField(
        label="Before (UTC)",
        required=False,
        max_length=40,
        help_text="The first time that no longer counts. Empty: up to the last candle.",
        widget=_typed(placeholder="last candle"),
    )
    capital = forms.CharField(
        max_length=40, help_text="In the market’s quote currency.", widget=_typed(inputmode="decimal")
    )
    fee = _percent("Fee of each trade, %", "Of a buy and of a sell alike, such as 0.1.")
    slippage = _percent("Slippage, %", "By which every fill is worse than the recorded price.", required=False)

    def __init__(self, *args: Any, strategies: Sequence[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["strategy"].choices = list(strategies)  # type: ignore[attr-defined]

    @property
    def given(self) -> dict[str, Any]:
        """The request in the API's fields, without ``params``, which the strategy reads from `texts`."""
        given: dict[str, Any] = {name: self.text(name) for name in ("strategy", "exchange", "timeframe", "capital")}
        given["symbol"] = self.text("symbol").upper()
        given |= {name: (self.cleaned_data.get(name) or Decimal(0)) / HUNDRED for name in ("fee", "slippage")}
        given |= {name: self.text(name) or None for name in ("since", "until")}
        given["limits"] = self.limits
        return given


class SweepForm(BacktestForm):
    """As a backtest, with the values to try in ``grid_…``; a parameter without any stays as it is above."""

    offered_limits = SWEPT

    objective = forms.ChoiceField(label="Best is", choices=[(name, OBJECTIVE_WORDS[name]) for name in OBJECTIVES])
    least_trades = forms.IntegerField(
        label="At least so many trades",
        required=False,
        min_value=0,
        help_text="Few trades prove little.",
        widget=_typed(inputmode="numeric"),
    )
    most_drawdown = forms.FloatField(
        label="Max drawdown at most, %",
        required=False,
        min_value=0,
        max_value=100,
        help_text="Looks at every candle of every set, so it takes longer.",
        widget=_typed(inputmode="decimal"),
    )
    least_profit_factor = forms.FloatField(
        label="Profit factor at least", required=False, min_value=0, widget=_typed(inputmode="decimal")
    )
    samples = forms.IntegerField(
        label="Random sample of",
        required=False,
        min_value=1,
        help_text="So many sets drawn from the grid. Empty: every set of it.",
        widget=_typed(inputmode="numeric", placeholder="all sets"),
    )
    folds = forms.IntegerField(
        label="Walk forward in",
        required=False,
        min_value=0,
        max_value=50,
        help_text="Stretches: the best set of each one’s first part is tried on the rest of it. 0: not at all.",
        widget=_typed(inputmode="numeric"),
    )
    in_sample = forms.DecimalField(
        label="First part, %",
        required=False,
        min_value=10,
        max_value=95,
        help_text="Of each stretch, in which the best set is chosen.",
        widget=_typed(inputmode="decimal"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.grid_names:
            label = (self.fields.get(f"param_{name}") or self.fields[f"limit_{name.removeprefix(PREFIX)}"]).label
            self.fields[f"grid_{name}"] = forms.CharField(
                label=f"{label}: values to try", required=False, max_length=400, widget=_typed(placeholder="as above")
            )

    @property
    def plan(self) -> dict[str, Any]:
        """The sweep's own fields as the API takes them."""
        given, folds = self.cleaned_data, self.cleaned_data.get("folds")
        grid = {name: listed(self.text(f"grid_{name}")) for name in self.grid_names if self.text(f"grid_{name}")}
        constraints = {
            metric: {bound: given[field]}
            for field, (metric, bound) in CONSTRAINTS.items()
            if given.get(field) is not None
        }
        share = float((given.get("in_sample") or Decimal(70)) / HUNDRED)
        return {
            "grid": grid,
            "objective": given.get("objective"),
            "constraints": constraints,
            "samples": given.get("samples"),
            "walk_forward": {"folds": folds, "in_sample": share} if folds else None,
        }

    def refuse(self, errors: Mapping[str, str]) -> None:
        named = {f"constraints.{metric}": field for field, (metric, _) in CONSTRAINTS.items()}
        named |= {"walk_forward": "folds", "walk_forward.in_sample": "in_sample"}
        super().refuse({named.get(name, name.replace("grid.", "grid_")): text for name, text in errors.items()})

    @property
    def grid_names(self) -> list[str]:
        return [*self.params, *(f"{PREFIX}{limit}" for limit in SWEPT)]

    @property
    def grid_fields(self) -> list[forms.BoundField]:
        return [self[f"grid_{name}"] for name in self.grid_names]

    @property
    def constraint_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in ("objective", *CONSTRAINTS)]


def listed(text: str) -> list[Any] | dict[str, str]:
    """``10, 14, 20`` as its values, ``10 to 30 step 5`` as its bounds; what is no number stays text."""
    steps = STEPS.fullmatch(text.strip())
    if steps is not None:
        return dict(zip(("min", "max", "step"), steps.groups(), strict=True))
    return [_number(part.strip()) for part in text.split(",") if part.strip()]


def _number(text: str) -> Any:
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    for kind in (int, Decimal):
        try:
            return kind(text)
        except (ValueError, ArithmeticError):
            continue
    return text


class ImportForm(forms.Form):
    """A file of candles, of what they are, and what the time of a row says."""

    exchange = forms.RegexField(
        r"\A[a-z0-9][a-z0-9_.-]{0,31}\Z",
        max_length=32,
        help_text="In small letters, such as binance.",
        error_messages={"invalid": "Expected a name in small letters such as binance."},
        widget=_typed(list="exchanges"),
    )
    symbol = forms.RegexField(
        r"\A[A-Z0-9]{1,15}/[A-Z0-9]{1,15}\Z",
        label="Market",
        required=False,
        max_length=32,
        help_text="Empty: as the file’s name says.",
        error_messages={"invalid": "Expected a symbol such as BTC/USDT."},
        widget=_typed(placeholder="BTC/USDT"),
    )
    timeframe = forms.ChoiceField(
        label="Candles of",
        required=False,
        choices=[("", "as the file’s name says"), *((name, name) for name in TIMEFRAMES)],
    )
    time = forms.ChoiceField(
        label="The time in a row is when its candle",
        initial="open",
        choices=[("open", "opens (most files)"), ("close", "closes, or the next one opens")],
        widget=forms.RadioSelect,
    )
    file = forms.FileField(
        help_text="CSV with the header timestamp_ms,open,high,low,close,volume; Binance’s public CSV or zip; "
        "freqtrade’s feather or JSON, whose names tell market and candles.",
        widget=forms.FileInput(attrs={"accept": ".csv,.zip,.feather,.json,.gz"}),
    )

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > MOST_BYTES:
            raise forms.ValidationError(
                f"Expected at most {MOST_BYTES // 1024 // 1024} MB; larger files go in by manage.py candles_import."
            )
        return file

    def clean(self) -> dict[str, Any]:
        """What was left empty is what the file's name says."""
        given = self.cleaned_data
        told = named(given["file"].name) if "file" in given else Named()
        for name in ("symbol", "timeframe"):
            given[name] = given.get(name) or getattr(told, name)
            if "file" in given and name not in self.errors and not given[name]:
                self.add_error(name, "Expected a choice: the file’s name does not tell it.")
        return given


class DownloadForm(forms.Form):
    """Of which market candles are to be fetched, and which."""

    exchange = forms.ChoiceField()
    symbol = forms.CharField(label="Market", max_length=32, widget=_typed(placeholder="BTC/USDT", list="symbols"))
    timeframe = forms.ChoiceField(label="Candles of", choices=[(name, name) for name in TIMEFRAMES], initial="1h")
    since = forms.CharField(
        label="From (UTC)", max_length=40, help_text="Such as 2024-01-31.", widget=_typed(placeholder="2024-01-01")
    )
    until = forms.CharField(
        label="Before (UTC)",
        required=False,
        max_length=40,
        help_text="Empty: up to the last candle that is closed now.",
        widget=_typed(placeholder="now"),
    )

    def __init__(self, *args: Any, exchanges: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["exchange"].choices = [(name, name) for name in exchanges]  # type: ignore[attr-defined]

    @property
    def given(self) -> dict[str, Any]:
        """In the API's fields."""
        return {**self.cleaned_data, "symbol": self.cleaned_data["symbol"].upper()}

    def refuse(self, errors: Mapping[str, str]) -> None:
        for name, text in errors.items():
            self.add_error(name if name in self.fields else None, text)
