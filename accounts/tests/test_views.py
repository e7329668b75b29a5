import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from accounts import operations
from accounts.audit import CONSOLE
from accounts.models import ApiToken, AuditEntry
from accounts.tests.cast import present_second_factor, totp

pytestmark = pytest.mark.django_db
TOKENS = "/app/account/tokens/"
NEW = "/app/account/tokens/new/"
GOOD = {"label": "laptop", "scopes": ["read", "trade"], "days": "90", "allowed_ips": "192.0.2.7, 2001:db8::/32"}


def mint(user, label: str = "script") -> ApiToken:
    return operations.create_token(user, ["read"], datetime.now(UTC), CONSOLE, label=label)[0]


def revoke_url(token: ApiToken) -> str:
    return f"{TOKENS}{token.pk}/revoke/"


@pytest.fixture
def stepped(alices, alice) -> Client:
    present_second_factor(alices, totp(alice))
    return alices


@pytest.fixture
def reauthenticated(stepped) -> Client:
    session = stepped.session
    session["account_authentication_methods"] = [
        {**record, "reauthenticated": True} for record in session["account_authentication_methods"]
    ]
    session.save()
    return stepped


@pytest.mark.parametrize("path", ["/app/account/", TOKENS, NEW, f"{TOKENS}1/revoke/", "/app/account/email/"])
def test_stranger_is_sent_to_the_login(client, db, path):
    response = client.get(path)
    assert response.status_code == 302
    assert response.url == f"/app/account/login/?next={path}"


def test_profile_shows_the_account_and_its_history(alices, alice):
    mint(alice)
    page = alices.get("/app/account/").content.decode()
    assert "alice@example.com" in page
    assert "1 valid token" in page
    assert "API token created" in page
    assert "neither trade live" in page


def test_history_is_ones_own(alices, bob):
    operations.change_user(bob, datetime.now(UTC), CONSOLE, is_active=False)
    assert "Account changed" not in alices.get("/app/account/").content.decode()


def test_theme_is_chosen_and_only_from_the_list(alices, alice):
    alices.post("/app/account/theme/", {"theme": "dark"})
    alices.post("/app/account/theme/", {"theme": "pink"})
    alice.refresh_from_db()
    assert alice.theme == "dark"
    assert alices.get("/app/account/theme/").status_code == 405


def test_token_is_made_behind_the_second_factor_and_shown_once(stepped, alice):
    assert stepped.get(NEW).status_code == 200
    response = stepped.post(NEW, GOOD)
    text = re.search(r"tb_[A-Za-z0-9]{8}_[A-Za-z0-9_-]{43}", response.content.decode())[0]
    assert "no-store" in response["Cache-Control"]
    token = ApiToken.objects.get()
    assert (token.user, token.label, token.scopes) == (alice, "laptop", ["read", "trade"])
    assert token.allowed_ips == ["192.0.2.7/32", "2001:db8::/32"]
    assert timedelta(days=89) < token.expires_at - datetime.now(UTC) <= timedelta(days=90)
    assert text.split("_", 2)[2] not in stepped.get(TOKENS).content.decode()
    assert AuditEntry.objects.get().actor == alice


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": []},
        {"scopes": ["write"]},
        {"scopes": ["admin"]},
        {"days": "100000"},
        {"days": ""},
        {"allowed_ips": "example.com"},
        {"label": "x" * 81},
    ],
)
def test_bad_token_form_says_so_and_makes_nothing(stepped, wrong):
    response = stepped.post(NEW, {**GOOD, **wrong})
    assert response.status_code == 422
    assert "errorlist" in response.content.decode()
    assert not ApiToken.objects.exists()


def test_admin_scope_is_offered_to_staff_only(stepped, alice):
    assert 'value="admin"' not in stepped.get(NEW).content.decode()
    alice.is_staff = True
    alice.save()
    assert 'value="admin"' in stepped.get(NEW).content.decode()


def test_stale_second_factor_makes_no_token(alices, alice):
    present_second_factor(alices, totp(alice), ago=301)
    response = alices.post(NEW, GOOD)
    assert response.status_code == 302
    assert response.url.startswith("/app/account/2fa/reauthenticate/")
    assert not ApiToken.objects.exists()


def test_list_shows_ones_own_tokens_only_in_one_query_for_all(alices, alice, bob, django_assert_max_num_queries):
    mint(bob, "theirs")
    for n in range(20):
        mint(alice, f"mine {n}")
    with django_assert_max_num_queries(4):
        page = alices.get(TOKENS).content.decode()
    assert page.count("mine ") == 20
    assert "theirs" not in page


@pytest.mark.parametrize("method", ["get", "post"])
def test_token_of_another_is_404_and_stays(reauthenticated, bob, method):
    token = mint(bob)
    assert getattr(reauthenticated, method)(revoke_url(token)).status_code == 404
    token.refresh_from_db()
    assert token.revoked_at is None


@pytest.mark.parametrize("number", ["0", "999999", "9" * 30])
def test_token_that_cannot_be_is_404(reauthenticated, number):
    assert reauthenticated.post(f"{TOKENS}{number}/revoke/").status_code == 404


def test_revoking_asks_first_and_then_revokes(reauthenticated, alice):
    token = mint(alice)
    assert "Revoke" in reauthenticated.get(revoke_url(token)).content.decode()
    token.refresh_from_db()
    assert token.revoked_at is None
    assert reauthenticated.post(revoke_url(token)).url == TOKENS
    token.refresh_from_db()
    assert token.revoked_at is not None
    assert "revoked" in reauthenticated.get(TOKENS).content.decode()


def test_revoking_needs_a_recent_authentication(alices, alice):
    token = mint(alice)
    response = alices.post(revoke_url(token))
    assert response.url.startswith("/app/account/reauthenticate/")
    token.refresh_from_db()
    assert token.revoked_at is None


def test_password_alone_does_not_reauthenticate_whoever_has_a_second_factor(alices, alice):
    assert alices.get("/app/account/reauthenticate/?next=/app/account/").status_code == 200
    totp(alice)
    for method in (alices.get, alices.post):
        response = method("/app/account/reauthenticate/?next=/app/account/")
        assert response.url == "/app/account/2fa/reauthenticate/?next=%2Fapp%2Faccount%2F"


def test_posts_need_the_csrf_token(alice):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    token = mint(alice)
    for path in ("/app/account/theme/", revoke_url(token)):
        assert browser.post(path, {"theme": "dark"}).status_code == 403
