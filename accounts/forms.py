"""The account pages' own forms; allauth brings the others."""

from typing import TYPE_CHECKING, Any, ClassVar, cast

from django import forms
from django.contrib.auth.password_validation import password_validators_help_text_html, validate_password

from accounts.models import SCOPES, User

if TYPE_CHECKING:
    UserModelForm = forms.ModelForm[User]
else:
    UserModelForm = forms.ModelForm

MEANING = {
    "read": "read: see bots, trades, balances and results",
    "trade": "trade: start and stop bots and backtests, engage the kill switch",
    "keys": "keys: add and delete exchange keys",
    "admin": "admin: act for other users where a route allows it",
}
EXPIRY = [("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "1 year")]


class ThemeForm(forms.Form):
    theme = forms.ChoiceField(
        label="Colors",
        choices=[("system", "As the system"), ("light", "Light"), ("dark", "Dark")],
    )


class TokenForm(forms.Form):
    label = forms.CharField(
        max_length=80,
        required=False,
        help_text="What will use it, to know it by in a year.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    scopes = forms.MultipleChoiceField(
        choices=[(scope, MEANING[scope]) for scope in SCOPES],
        widget=forms.CheckboxSelectMultiple,
        help_text="As few as will do. No scope includes another.",
    )
    days = forms.TypedChoiceField(label="Valid for", choices=EXPIRY, initial="90", coerce=int)
    allowed_ips = forms.CharField(
        label="Only from",
        required=False,
        max_length=1000,
        help_text="Addresses or networks, separated by commas or spaces. Empty: from anywhere.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "192.0.2.7, 2001:db8::/32"}),
    )

    def __init__(self, *args: Any, allow_admin: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not allow_admin:
            scopes = cast("forms.MultipleChoiceField", self.fields["scopes"])
            scopes.choices = [(scope, MEANING[scope]) for scope in SCOPES if scope != "admin"]

    def clean_allowed_ips(self) -> list[str]:
        return str(self.cleaned_data["allowed_ips"]).replace(",", " ").split()


class NewUserForm(UserModelForm):
    """The administration's way to add a user."""

    password = forms.CharField(
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=password_validators_help_text_html(),
        strip=False,
    )

    class Meta:
        model = User
        fields: ClassVar[list[str]] = ["email", "is_staff"]

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).lower()

    def clean_password(self) -> str:
        password = str(self.cleaned_data["password"])
        validate_password(password, User(email=self.cleaned_data.get("email", "")))
        return password
