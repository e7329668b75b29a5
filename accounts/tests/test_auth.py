import json
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse
from django.test import RequestFactory
from ninja import NinjaAPI
from ninja.testing import TestClient

from accounts import operations
from accounts.audit import CONSOLE
from accounts.auth import (
    Caller,
    Forbidden,
    MissingScope,
    NotFound,
    TokenAuth,
    actor_of,
    caller_of,
    resolve_user,
    second_factor_age,
    step_up_required,
)
from accounts.models import SCOPES, ApiToken, User
from accounts.tests.cast import NOW, present_second_factor, totp

pytestmark = pytest.mark.django_db


def token(user: User, *scopes: str, at: datetime = NOW, **options: object) -> str:
    return operations.create_token(user, scopes or ("read",), at, CONSOLE, **options)[1]


def caller(user: User, *scopes: str) -> Caller:
    found = caller_of(token(user, *scopes), "192.0.2.1", NOW)
    assert found is not None
    return found


def test_valid_token_speaks_for_its_user(alice):
    found = caller_of(token(alice, "trade", "read"), "192.0.2.1", NOW)
    assert (found.user, found.scopes) == (alice, frozenset({"read", "trade"}))


def test_only_a_hash_of_the_token_is_stored(alice):
    text = token(alice)
    row = ApiToken.objects.get()
    stored = json.dumps([str(value) for value in row.__dict__.values()])
    assert text.split("_", 2)[2] not in stored
    assert text.startswith(f"tb_{row.prefix}_")


def changed(text: str, index: int) -> str:
    return text[:index] + ("A" if text[index] != "A" else "B") + text[index + 1 :]


@pytest.mark.parametrize("spoil", [
    lambda t: "",
    lambda t: "tb_",
    lambda t: t + "x",
    lambda t: t[:-1],
    lambda t: changed(t, 4),
    lambda t: changed(t, 20),
    lambda t: changed(t, len(t) - 2),
    lambda t: t.upper(),
    lambda t: t + "\n",
    lambda t: t.replace("tb_", "tb-"),
    lambda t: "tb_é" + t[4:],
    lambda t: "x" * 100_000,
])  # fmt: skip
def test_spoiled_token_is_nobody(alice, spoil):
    text = token(alice)
    assert caller_of(spoil(text), "192.0.2.1", NOW) is None
    assert ApiToken.objects.get().last_used_at is None


def test_token_ends_with_its_expiry_to_the_instant(alice):
    text = token(alice, expires_at=NOW + timedelta(hours=1))
    assert caller_of(text, None, NOW + timedelta(minutes=59, seconds=59)) is not None
    assert caller_of(text, None, NOW + timedelta(hours=1)) is None


def test_revoked_token_is_nobody(alice):
    text = token(alice)
    operations.revoke_token(ApiToken.objects.get(), NOW, CONSOLE)
    assert caller_of(text, None, NOW) is None


def test_token_of_an_inactive_user_is_nobody(alice):
    text = token(alice)
    User.objects.update(is_active=False)
    assert caller_of(text, None, NOW) is None


def test_token_comes_in_from_its_networks_only(alice):
    text = token(alice, allowed_ips=["192.0.2.0/24", "2001:db8::1"])
    assert caller_of(text, "192.0.2.77", NOW) is not None
    assert caller_of(text, "2001:db8::1", NOW) is not None
    assert caller_of(text, "198.51.100.1", NOW) is None
    assert caller_of(text, None, NOW) is None


def test_last_use_is_written_once_a_minute(alice, django_assert_num_queries):
    text = token(alice)
    caller_of(text, None, NOW)
    with django_assert_num_queries(1):
        caller_of(text, None, NOW + timedelta(seconds=59))
    assert ApiToken.objects.get().last_used_at == NOW
    caller_of(text, None, NOW + timedelta(seconds=60))
    assert ApiToken.objects.get().last_used_at == NOW + timedelta(seconds=60)


@pytest.fixture(scope="module")
def api() -> TestClient:
    routes = NinjaAPI(urls_namespace="accounts-test", docs_url=None, openapi_url=None)

    @routes.exception_handler(Forbidden)
    def forbidden(request, error):
        return routes.create_response(request, {"code": error.code, "detail": error.detail}, status=403)

    for scope in SCOPES:
        routes.get(f"/{scope}", auth=TokenAuth(scope), url_name=scope)(lambda request: {"user": request.auth.user.pk})
    return TestClient(routes)


def test_route_admits_exactly_its_scope(api, alice):
    for held in SCOPES:
        headers = {"Authorization": f"Bearer {token(alice, held, at=datetime.now(UTC))}"}
        for asked in SCOPES:
            response = api.get(f"/{asked}", headers=headers, META={"REMOTE_ADDR": "192.0.2.1"})
            if asked == held:
                assert (response.status_code, response.json()) == (200, {"user": alice.pk})
            else:
                assert (response.status_code, response.json()["code"]) == (403, "missing_scope")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer tb_x_y", "Basic YTpi", "Token x"])
def test_route_without_a_good_token_answers_401(api, alice, header):
    headers = {} if header is None else {"Authorization": header}
    assert api.get("/read", headers=headers, META={"REMOTE_ADDR": "192.0.2.1"}).status_code == 401


def test_unknown_scope_of_a_route_is_refused_at_once():
    with pytest.raises(ValueError, match="was 'write'"):
        TokenAuth("write")
    assert MissingScope("read").code == "missing_scope"


def test_path_user_is_oneself_by_word_and_id(alice):
    me = caller(alice)
    assert resolve_user(me, "me") == resolve_user(me, str(alice.pk)) == alice


def test_path_user_of_another_needs_admin(alice, bob):
    with pytest.raises(NotFound):
        resolve_user(caller(alice, "read", "trade", "keys"), str(bob.pk))
    assert resolve_user(caller(alice, "admin"), str(bob.pk)) == bob


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "1.0", "ME", "me ", "x", "٣", "999999999", str(2**63 - 1), str(2**63), "9" * 400, "1;--"]
)
def test_path_user_that_cannot_be_is_not_found_even_for_admins(alice, text):
    with pytest.raises(NotFound):
        resolve_user(caller(alice, "admin"), text)


def test_actor_is_the_token_user_the_session_user_or_a_stranger(rf: RequestFactory, alice):
    request = rf.get("/", REMOTE_ADDR="192.0.2.5")
    request.user = AnonymousUser()
    assert str(actor_of(request)) == "anonymous"
    request.user = alice
    assert (str(actor_of(request)), actor_of(request).address) == (f"user:{alice.pk}", "192.0.2.5")
    request.auth = caller(alice)
    assert str(actor_of(request)) == f"token:{alice.pk}"


def asked(client, user: User | AnonymousUser, **options):
    request = RequestFactory().generic(options.pop("method", "GET"), "/live/?a=1", **options)
    request.session, request.user = client.session, user
    request._messages = []
    return request


@step_up_required(back="accounts_profile")
def arm(request):
    return HttpResponse("armed")


def test_second_factor_age_is_since_this_session_presented_it(client, alice, bob):
    client.force_login(alice)
    assert second_factor_age(asked(client, alice)) is None
    assert second_factor_age(asked(client, AnonymousUser())) is None
    factor = totp(alice)
    present_second_factor(client, factor, ago=100)
    assert timedelta(seconds=100) <= second_factor_age(asked(client, alice)) < timedelta(seconds=110)
    assert second_factor_age(asked(client, bob)) is None
    factor.delete()
    assert second_factor_age(asked(client, alice)) is None


def test_second_factor_from_the_future_proves_nothing(client, alice):
    client.force_login(alice)
    present_second_factor(client, totp(alice), ago=-100)
    assert second_factor_age(asked(client, alice)) is None


@pytest.mark.parametrize(("ago", "passes"), [(0, True), (290, True), (301, False), (100_000, False)])
def test_step_up_lasts_five_minutes(client, alice, ago, passes):
    client.force_login(alice)
    present_second_factor(client, totp(alice), ago=ago)
    response = arm(asked(client, alice))
    assert (response.status_code, response.content == b"armed") == ((200, True) if passes else (302, False))


def test_step_up_leads_there_and_back(client, alice):
    client.force_login(alice)
    totp(alice)
    assert arm(asked(client, alice)).url.partition("?")[2] == "next=%2Flive%2F%3Fa%3D1"
    assert arm(asked(client, alice, method="POST")).url.partition("?")[2] == "next=%2Fapp%2Faccount%2F"


def test_step_up_answers_htmx_with_a_client_redirect(client, alice):
    client.force_login(alice)
    totp(alice)
    request = asked(client, alice)
    request.htmx = True
    assert "/reauthenticate/" in arm(request)["HX-Redirect"]


def test_step_up_of_a_stranger_starts_at_the_login(client):
    assert "login" in arm(asked(client, AnonymousUser())).url


def test_step_up_without_any_factor_starts_at_its_activation(alices):
    response = alices.get("/app/account/tokens/new/", follow=True)
    assert response.redirect_chain[0][0] == "/app/account/2fa/totp/activate/"
    assert "Set up your authenticator app" in response.content.decode()
