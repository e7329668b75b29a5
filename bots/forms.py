"""What the trading pages let a person type; the domain checks it again."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django import forms

from bots.core.limits import EXECUTION, HELP, WHOLE, EntryType
from bots.models import SWITCHED, CaseKind, Mode, Status

PROTECTIONS = (
    "stop_loss_pct",
    "break_even_pct",
    "take_profit_pct",
    "trailing_stop_pct",
    "stop_on_exchange",
    "max_daily_loss",
    "max_drawdown_pct",
)
#: What a user, a key or the platform may limit too.
LEVELED = tuple(name for name in HELP if name not in EXECUTION)
ANY = ("", "Any")
ACTIONS = (
    ("halt", "Halt: no order is sent, not even a stop-loss. Positions stay as they are."),
    ("reduce", "Reduce: no new entries. Exits and stops go on."),
    ("flatten", "Flatten: no new entries, sell everything at the market, stop the bots."),
    ("resume", "Resume trading."),
)


class RunFilterForm(forms.Form):
    status = forms.ChoiceField(label="State", required=False, choices=[ANY, *Status.choices])
    mode = forms.ChoiceField(required=False, choices=[ANY, *Mode.choices])
    symbol = forms.CharField(required=False, max_length=32, widget=forms.TextInput(attrs={"placeholder": "BTC/USDT"}))
    strategy = forms.ChoiceField(required=False)

    def __init__(self, data: Mapping[str, Any], strategies: Sequence[tuple[str, str]]) -> None:
        super().__init__(data)
        self.fields["strategy"].choices = [ANY, *strategies]  # type: ignore[attr-defined]


class TradeFilterForm(forms.Form):
    bot_run_id = forms.IntegerField(label="Bot", required=False, min_value=1, max_value=2**63 - 1)
    symbol = forms.CharField(required=False, max_length=32, widget=forms.TextInput(attrs={"placeholder": "BTC/USDT"}))
    side = forms.ChoiceField(required=False, choices=[ANY, ("buy", "Buy"), ("sell", "Sell")])
    mode = forms.ChoiceField(required=False, choices=[ANY, *Mode.choices])
    since = forms.DateField(label="From (UTC)", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label="Before (UTC)", required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def instant(self, name: str) -> datetime | None:
        """Midnight UTC of a day; the range is half open."""
        day = self.cleaned_data.get(name)
        return datetime(day.year, day.month, day.day, tzinfo=UTC) if day else None


class StopForm(forms.Form):
    on_open_position = forms.ChoiceField(choices=[("keep", "Keep"), ("close", "Close")])
    word = forms.CharField(required=False, max_length=20)

    def __init__(self, data: Mapping[str, Any], *, typed: bool) -> None:
        """``typed``: selling real money wants the word."""
        super().__init__(data)
        self.typed = typed

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.typed and cleaned.get("on_open_position") == "close" and cleaned.get("word", "").strip() != "SELL":
            self.add_error("word", "Type SELL to sell at the market, or keep the position.")
        return cleaned


class KillForm(forms.Form):
    level = forms.ChoiceField(choices=[(level.value, level.label) for level in SWITCHED])
    target = forms.IntegerField(label="Number of the bot or key", required=False, min_value=0, max_value=2**63 - 1)
    action = forms.ChoiceField(choices=ACTIONS)
    reason = forms.CharField(
        label="Why, for the log",
        max_length=300,
        error_messages={"required": "Say why, for the log: a few words do."},
    )


class ArmForm(forms.Form):
    phrase = forms.CharField(
        max_length=80, widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    )

    def __init__(self, *args: Any, expected: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expected = expected
        self.fields["phrase"].label = f"Type “{expected}” to confirm"

    def clean_phrase(self) -> str:
        if self.cleaned_data["phrase"].strip() != self.expected:
            raise forms.ValidationError(f"Expected “{self.expected}”, letter by letter.")
        return self.expected


class CaseFilterForm(forms.Form):
    state = forms.ChoiceField(required=False, choices=[ANY, ("open", "Open"), ("resolved", "Resolved")])
    kind = forms.ChoiceField(required=False, choices=[ANY, *CaseKind.choices])
    account = forms.TypedChoiceField(required=False, coerce=int, empty_value=None)

    def __init__(self, data: Mapping[str, Any], accounts: Sequence[tuple[int, str]]) -> None:
        super().__init__(data)
        self.fields["account"].choices = [ANY, *accounts]  # type: ignore[attr-defined]

    @property
    def given(self) -> dict[str, Any]:
        """The fields of a CaseFilter; what is no choice does not narrow."""
        found = {name: self.cleaned_data.get(name) or "" for name in ("state", "kind")}
        return {**found, "account_id": self.cleaned_data.get("account")}


class ResolveForm(forms.Form):
    note = forms.CharField(
        label="What was found",
        max_length=300,
        help_text="For the log, such as: I withdrew 0.1 BTC on Monday.",
        error_messages={"required": "Say what was found: a few words do. Nothing was resolved."},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    accept = forms.BooleanField(label="Take the exchange’s balance as right from here on", required=False)


class ResetForm(forms.Form):
    reason = forms.CharField(
        label="Why is it safe again?",
        max_length=300,
        error_messages={"required": "Say why, for the log: a few words do."},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class LimitsForm(forms.Form):
    """One field per limit; empty means no limit."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in LEVELED:
            self.fields[name] = limit_field(name)

    @property
    def given(self) -> dict[str, str]:
        return {name: str(self.cleaned_data[name]) for name in LEVELED if self.cleaned_data.get(name)}


class StrategyForm(forms.Form):
    """The fixed fields, then ``param_…`` by the strategy's JSON Schema, then ``limit_…``; empty is the default."""

    offered_limits: Sequence[str] = tuple(HELP)

    def __init__(self, *args: Any, schema: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params = list(schema.get("properties", {}))
        for name, facts in schema.get("properties", {}).items():
            self.fields[f"param_{name}"] = param_field(name, facts)
        for name in self.offered_limits:
            self.fields[f"limit_{name}"] = limit_field(name)

    @property
    def texts(self) -> dict[str, str]:
        """The parameters as typed, for the strategy's own reading."""
        return {name: self.text(f"param_{name}") for name in self.params}

    @property
    def limits(self) -> dict[str, str]:
        texts = {name: self.text(f"limit_{name}") for name in self.offered_limits}
        return {name: text for name, text in texts.items() if text}

    def text(self, name: str) -> str:
        value = self.cleaned_data.get(name)
        return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value).strip()

    def refuse(self, errors: Mapping[str, str]) -> None:
        """Put the domain's errors to their fields; what belongs to none stands above the form."""
        for name, text in errors.items():
            field = name.replace("params.", "param_").replace("limits.", "limit_")
            self.add_error(field if field in self.fields else None, text)

    @property
    def param_fields(self) -> list[forms.BoundField]:
        return [self[f"param_{name}"] for name in self.params]

    @property
    def protection_fields(self) -> list[forms.BoundField]:
        return [self[f"limit_{name}"] for name in PROTECTIONS if name in self.offered_limits]

    @property
    def further_limit_fields(self) -> list[forms.BoundField]:
        return [self[f"limit_{name}"] for name in self.offered_limits if name not in PROTECTIONS]

    @property
    def further_limits_used(self) -> bool:
        return any(field.value() or field.errors for field in self.further_limit_fields)


class StartForm(StrategyForm):
    """A new bot."""

    strategy = forms.ChoiceField(widget=forms.RadioSelect)
    exchange = forms.ChoiceField()
    symbol = forms.CharField(
        label="Market",
        max_length=32,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "list": "symbols"}),
    )
    timeframe = forms.ChoiceField(label="Candles of", help_text="The bot decides each time one of these closes.")
    capital = forms.DecimalField(
        max_digits=36,
        decimal_places=18,
        min_value=Decimal(0),
        help_text="All that this bot may ever use, in the market’s quote currency.",
    )
    mode = forms.ChoiceField(choices=Mode.choices, widget=forms.RadioSelect)
    exchange_key_id = forms.TypedChoiceField(label="Exchange key", required=False, coerce=int, empty_value=None)
    confirmation = forms.CharField(
        required=False, max_length=40, widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    )
    token = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def __init__(self, *args: Any, choices: Mapping[str, Sequence[tuple[str, str]]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, offered in choices.items():
            self.fields[name].choices = list(offered)  # type: ignore[attr-defined]
        self.fields["confirmation"].label = "Type the market’s name to trade real money"
        self.fields["capital"].widget.attrs |= {"inputmode": "decimal", "step": "any"}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("mode") == Mode.LIVE and cleaned.get("symbol"):
            if not cleaned.get("exchange_key_id"):
                self.add_error("exchange_key_id", "Live trading needs one of your keys.")
            if cleaned.get("confirmation", "").strip() != cleaned["symbol"]:
                self.add_error("confirmation", f"Type {cleaned['symbol']} to confirm that this bot trades real money.")
        return cleaned


def limit_field(name: str) -> forms.Field:
    """The number as text: what it may be is the domain's business."""
    if name == "stop_on_exchange":
        return forms.BooleanField(label="Stop on the exchange", required=False, help_text=HELP[name])
    if name == "entry_type":
        choices = [("", "Market"), (EntryType.LIMIT.value, "Limit")]
        return forms.ChoiceField(label="Entries", required=False, choices=choices, help_text=HELP[name])
    kind = "numeric" if name in WHOLE else "decimal"
    label = name.replace("_pct", ", %").replace("_", " ").capitalize()
    widget = forms.TextInput(attrs={"inputmode": kind, "autocomplete": "off", "placeholder": "no limit"})
    return forms.CharField(label=label, required=False, max_length=40, help_text=HELP[name], widget=widget)


def param_field(name: str, facts: Mapping[str, Any]) -> forms.Field:
    """A field for one property of a strategy's JSON Schema."""
    label = name.replace("_", " ").capitalize().replace("Rsi", "RSI").replace("Ema", "EMA")
    common: dict[str, Any] = {"label": label, "required": False, "initial": facts.get("default")}
    help_text = str(facts.get("description", ""))
    if "enum" in facts:
        return forms.ChoiceField(choices=[(value, value) for value in facts["enum"]], help_text=help_text, **common)
    if facts["type"] == "boolean":
        return forms.BooleanField(help_text=help_text, **common)
    if facts["type"] == "object":
        return forms.CharField(max_length=20_000, help_text=help_text, widget=forms.Textarea({"rows": 8}), **common)
    bounds = " to ".join(str(facts[word]) for word in ("minimum", "maximum") if word in facts)
    help_text = f"{help_text} {bounds}.".strip() if bounds else help_text
    kind = "numeric" if facts["type"] == "integer" else "decimal"
    widget = forms.TextInput(attrs={"inputmode": kind, "autocomplete": "off"})
    return forms.CharField(max_length=40, help_text=help_text, widget=widget, **common)
