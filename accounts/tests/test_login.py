"""The pages of allauth as we wear them: from sign-up to the second factor, and what the audit log keeps of it."""

import re

import pytest
from allauth.mfa.models import Authenticator
from django.core import mail
from django.test import Client

from accounts import audit
from accounts.models import AuditEntry, User
from accounts.tests.cast import PASSWORD, code, totp, user

pytestmark = pytest.mark.django_db
LOGIN = "/app/account/login/"
SIGNUP = "/app/account/signup/"
INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", re.IGNORECASE)
NEXT_PASSWORD = "a quite different passphrase"


@pytest.fixture(autouse=True)
def _mail_in_memory(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("id").values_list("action", flat=True))


def sign_in(browser: Client, email: str = "alice@example.com", password: str = PASSWORD):
    return browser.post(LOGIN, {"login": email, "password": password})


@pytest.mark.parametrize("path", [LOGIN, SIGNUP, "/app/account/password/reset/"])
def test_entrance_has_labels_autocomplete_and_nothing_inline(client, path):
    page = client.get(path).content.decode()
    assert not INLINE.search(page)
    assert "onpaste" not in page
    for field in re.findall(r"<input[^>]*>", page):
        if re.search(r'type="(hidden|checkbox|submit)"', field):
            continue
        assert "autocomplete=" in field, field
        name = re.search(r'id="([^"]+)"', field)[1]
        assert f'<label for="{name}"' in page


@pytest.mark.parametrize(
    "path",
    ["", "email/", "password/change/", "2fa/", "2fa/totp/activate/", "tokens/", "logout/", "reauthenticate/"],
)
def test_pages_behind_the_login_have_nothing_inline(alices, path):
    sign = alices.post("/app/account/reauthenticate/", {"password": PASSWORD})
    assert sign.status_code == 302
    response = alices.get(f"/app/account/{path}")
    assert response.status_code == 200
    assert not INLINE.search(response.content.decode())
    assert "<h1" in response.content.decode()


def test_sign_up_logs_in_and_is_audited(client):
    response = client.post(SIGNUP, {"email": "Dora@Example.com", "password1": PASSWORD, "password2": PASSWORD})
    assert response.status_code == 302
    assert User.objects.get().email == "dora@example.com"
    assert client.session["_auth_user_id"] == str(User.objects.get().pk)
    assert set(actions()) == {"signup", "login"}
    assert audit.first_break() is None


def test_closed_sign_up_makes_no_account(client, settings):
    settings.SIGNUP_OPEN = False
    form = {"email": "dora@example.com", "password1": PASSWORD, "password2": PASSWORD}
    for response in (client.get(SIGNUP), client.post(SIGNUP, form)):
        assert "Sign-up is closed" in response.content.decode()
    assert not User.objects.exists()


@pytest.mark.parametrize("password", ["short", "123456789012", "password1234"])
def test_weak_password_is_refused_at_sign_up(client, password):
    client.post(SIGNUP, {"email": "dora@example.com", "password1": password, "password2": password})
    assert not User.objects.exists()


def test_login_by_email_in_any_case(client, alice):
    assert sign_in(client, "ALICE@example.com").url == "/app/"
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.address) == ("login", alice, "127.0.0.1")


def test_wrong_password_and_unknown_account_get_the_same_answer(client, alice):
    pages = []
    for email, password in (("alice@example.com", "wrong"), ("nobody@example.com", PASSWORD)):
        page = sign_in(Client(), email, password).content.decode()
        pages.append(re.sub(r'value="[^"]*"', "", page))
    assert pages[0] == pages[1]
    entries = AuditEntry.objects.order_by("id")
    assert [(e.action, e.actor, e.actor_kind) for e in entries] == [("login_failed", None, "anonymous")] * 2
    assert [e.subject for e in entries] == [f"user:{alice.pk}", ""]


def test_guessing_is_stopped_and_the_host_header_does_not_help(alice, settings):
    for attempt in range(5):
        sign_in(Client(SERVER_PORT=str(8000 + attempt), REMOTE_ADDR=f"192.0.2.{attempt}"), password="wrong")
    page = sign_in(Client(SERVER_PORT="9000", REMOTE_ADDR="192.0.2.99"))
    assert "Too many failed login attempts" in page.content.decode()
    assert "login" not in actions()


def test_forwarded_address_counts_only_behind_a_trusted_proxy(alice, settings):
    for proxies, address in ((0, "127.0.0.1"), (1, "198.51.100.7")):
        settings.TRUSTED_PROXIES = proxies
        sign_in(Client(headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}))
        assert AuditEntry.objects.first().address == address


def test_login_with_a_second_factor_takes_both(client, alice):
    factor = totp(alice)
    assert sign_in(client).url == "/app/account/2fa/authenticate/"
    assert "_auth_user_id" not in client.session
    page = client.get("/app/account/2fa/authenticate/").content.decode()
    assert 'autocomplete="one-time-code"' in page
    assert not INLINE.search(page)
    client.post("/app/account/2fa/authenticate/", {"code": "000000"})
    assert "_auth_user_id" not in client.session
    response = client.post("/app/account/2fa/authenticate/", {"code": code(factor.clear)})
    assert response.url == "/app/"
    assert actions() == ["second_factor_failed", "second_factor_used", "login"]


def test_code_works_once(alice):
    shown = code(totp(alice).clear)
    outcomes = []
    for _attempt in range(2):
        browser = Client()
        sign_in(browser)
        browser.post("/app/account/2fa/authenticate/", {"code": shown})
        outcomes.append("_auth_user_id" in browser.session)
    assert outcomes == [True, False]


def test_second_factor_is_set_up_sealed_and_with_recovery_codes(alices, alice):
    alices.post("/app/account/reauthenticate/", {"password": PASSWORD})
    page = alices.get("/app/account/2fa/totp/activate/").content.decode()
    secret = re.search(r'id="authenticator_secret" value="([A-Z2-7]+)"', page)[1]
    assert 'src="data:image/svg+xml' in page
    alices.post("/app/account/2fa/totp/activate/", {"code": code(secret)})
    stored = {str(a.type): a.data for a in Authenticator.objects.all()}
    assert stored["totp"]["secret"].startswith("tbs1.")
    assert secret not in str(stored)
    assert stored["recovery_codes"]["seed"].startswith("tbs1.")
    page = alices.get("/app/account/2fa/recovery-codes/").content.decode()
    codes = re.search(r"<textarea[^>]*>([^<]+)</textarea>", page)[1].split()
    assert len(codes) == 10
    assert not INLINE.search(page)
    browser = Client()
    sign_in(browser)
    browser.post("/app/account/2fa/authenticate/", {"code": codes[0]})
    assert "_auth_user_id" in browser.session


def test_password_reset_answers_alike_and_keeps_the_second_factor(client, alice):
    totp(alice)
    answers = {client.post("/app/account/password/reset/", {"email": e}).url for e in (alice.email, "no@example.com")}
    assert len(answers) == 1
    (letter,) = [m for m in mail.outbox if m.to == [alice.email]]
    link = re.search(r"http://[^/]+(/\S+)", letter.body)[1]
    form = client.get(link, follow=True)
    assert 'autocomplete="new-password"' in form.content.decode()
    client.post(form.redirect_chain[-1][0], {"password1": NEXT_PASSWORD, "password2": NEXT_PASSWORD})
    alice.refresh_from_db()
    assert alice.check_password(NEXT_PASSWORD)
    assert "password_reset" in actions()
    assert sign_in(Client(), password=NEXT_PASSWORD).url == "/app/account/2fa/authenticate/"


def test_password_change_ends_the_other_sessions(alices, alice):
    other = Client()
    other.force_login(alice)
    form = {"oldpassword": PASSWORD, "password1": NEXT_PASSWORD, "password2": NEXT_PASSWORD}
    alices.post("/app/account/password/change/", form)
    assert "password_changed" in actions()
    assert other.get("/app/account/").status_code == 302


def test_logout_takes_a_post_and_is_audited(alices):
    assert alices.get("/app/account/logout/").status_code == 200
    assert "_auth_user_id" in alices.session
    alices.post("/app/account/logout/")
    assert "_auth_user_id" not in alices.session
    assert actions() == ["logout"]


def test_login_leads_to_no_other_site(client, alice):
    response = client.post(LOGIN, {"login": alice.email, "password": PASSWORD, "next": "https://evil.example/"})
    assert response.url == "/app/"


def test_inactive_user_does_not_get_in(client):
    user("gone@example.com", is_active=False)
    sign_in(client, "gone@example.com")
    assert "_auth_user_id" not in client.session


RESET, BREAKERS = "/app/risk/breakers/1/reset/", "/app/risk/breakers/"
NOTHING = "You were signed out before this was sent, so nothing was done."


def test_a_form_sent_after_the_session_ended_leads_back_to_its_page(client, alice):
    away = client.post(RESET, {"reason": "calm again"}, headers={"Referer": f"http://testserver{BREAKERS}?a=1"})
    assert NOTHING in client.get(away.url).content.decode()
    back = client.post(away.url, {"login": alice.email, "password": PASSWORD})
    assert back.url == f"{BREAKERS}?a=1"


@pytest.mark.parametrize("sender", ["", "https://elsewhere.example/app/", "//elsewhere.example/", "javascript:x"])
def test_the_login_leads_to_no_page_of_others(sender, client):
    away = client.post("/app/bots/new/", headers={"Referer": sender})
    assert away.url == f"{LOGIN}?next=/app/bots/new/"


def test_a_redraw_after_the_session_ended_says_so_at_the_login(client):
    assert client.post("/app/bots/new/", headers={"HX-Request": "true"})["HX-Refresh"] == "true"
    assert NOTHING in client.get("/app/bots/new/", follow=True).content.decode()


def test_who_only_opens_a_page_is_told_of_no_form(client):
    assert NOTHING not in client.get("/app/bots/new/", follow=True).content.decode()
