"""What the key pages let a person type; secrets are never put back into a page."""

from typing import Any

from django import forms

from exchanges.adapters.ccxt_contracts import CONTRACTS


class SecretInput(forms.PasswordInput):
    """Hidden while typed, not offered to the password manager as a login, and never rendered back."""

    def __init__(self) -> None:
        super().__init__(attrs={"autocomplete": "off", "spellcheck": "false"}, render_value=False)


class KeyForm(forms.Form):
    exchange = forms.ChoiceField()
    label = forms.CharField(required=False, max_length=80, help_text="To know it by, for example “Spot, trading only”.")
    api_key = forms.CharField(
        label="API key", max_length=512, widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    )
    api_secret = forms.CharField(
        label="API secret",
        max_length=4096,
        strip=True,
        widget=SecretInput(),
        help_text="Encrypted at once, never shown again.",
    )
    passphrase = forms.CharField(required=False, max_length=256, widget=SecretInput())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["exchange"].choices = [(name, name) for name in CONTRACTS]  # type: ignore[attr-defined]
        wanting = ", ".join(name for name, contract in CONTRACTS.items() if contract.passphrase)
        self.fields["passphrase"].help_text = f"Only where the exchange gave you one: {wanting}." if wanting else ""
