import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts import audit, operations
from accounts.audit import CONSOLE
from accounts.models import ApiToken, AuditEntry, User
from accounts.tests.cast import NOW, PASSWORD, present_second_factor, totp, user

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(staff) -> Client:
    """The administrator at work: logged in with both factors."""
    client = Client()
    client.force_login(staff)
    present_second_factor(client, totp(staff), ago=3600)
    return client


def act(client: Client, model: str, action: str, *pks: int):
    return client.post(
        reverse(f"admin:accounts_{model}_changelist"), {"action": action, "_selected_action": pks}, follow=True
    )


def test_stranger_is_sent_through_the_common_door(client):
    inside = reverse("admin:accounts_user_changelist")
    response = client.get(inside, follow=True)
    assert response.redirect_chain[-1][0].startswith("/app/account/login/?next=")
    assert reverse("admin:login") not in response.redirect_chain[-1][0]
    assert b'name="login"' in response.content


def test_password_posted_to_the_admin_login_logs_nobody_in(client, staff):
    client.post(reverse("admin:login"), {"username": staff.email, "password": PASSWORD})
    assert "_auth_user_id" not in client.session


def test_user_who_is_no_staff_is_forbidden(alices):
    assert alices.get(reverse("admin:index"), follow=True).status_code == 403


def test_staff_without_second_factor_is_sent_to_set_one_up(client, staff):
    client.force_login(staff)
    response = client.get(reverse("admin:index"), follow=True)
    assert response.request["PATH_INFO"] in {"/app/account/reauthenticate/", "/app/account/2fa/totp/activate/"}
    assert "administration needs a second factor" in response.content.decode()


def test_staff_whose_session_shows_no_second_factor_is_asked_for_it(client, staff):
    client.force_login(staff)
    totp(staff)
    response = client.get(reverse("admin:index"), follow=True)
    assert response.request["PATH_INFO"] == "/app/account/2fa/reauthenticate/"


def test_staff_with_both_factors_gets_in(desk):
    assert desk.get(reverse("admin:index")).status_code == 200
    assert desk.get(reverse("admin:login") + "?next=https://evil.example/").url == reverse("admin:index")


def test_second_factor_can_be_waived_by_setting(client, staff, settings):
    settings.ADMIN_REQUIRES_MFA = False
    client.force_login(staff)
    assert client.get(reverse("admin:index")).status_code == 200


def test_own_password_is_changed_on_the_common_page(desk):
    assert desk.get(reverse("admin:password_change")).url == "/app/account/password/change/"


@pytest.mark.parametrize("model", ["user", "apitoken", "auditentry"])
def test_lists_and_records_show_no_hash_and_no_secret(desk, alice, model):
    token, text = operations.create_token(alice, ["read"], NOW, CONSOLE)
    row = {"user": alice, "apitoken": token, "auditentry": AuditEntry.objects.first()}[model]
    pages = [
        desk.get(reverse(f"admin:accounts_{model}_changelist")),
        desk.get(reverse(f"admin:accounts_{model}_change", args=[row.pk])),
    ]
    for page in pages:
        assert page.status_code == 200
        for secret in (alice.password, "argon2", token.secret_hash, text.split("_", 2)[2]):
            assert secret not in page.content.decode()


def test_second_factors_are_listed_without_their_secrets(desk, alice):
    factor = totp(alice)
    for name, arguments in (("changelist", []), ("change", [factor.pk])):
        page = desk.get(reverse(f"admin:mfa_authenticator_{name}", args=arguments)).content.decode()
        assert "tbs1." not in page
        assert factor.clear not in page


@pytest.mark.parametrize("model", ["account_emailaddress", "mfa_authenticator"])
def test_what_opens_an_account_cannot_be_written(desk, model):
    assert desk.get(reverse(f"admin:{model}_changelist")).status_code == 200
    assert desk.get(reverse(f"admin:{model}_add")).status_code == 403


@pytest.mark.parametrize("model", ["apitoken", "auditentry", "user"])
def test_records_cannot_be_deleted(desk, alice, model):
    token, _text = operations.create_token(alice, ["read"], NOW, CONSOLE)
    row = {"user": alice, "apitoken": token, "auditentry": AuditEntry.objects.first()}[model]
    assert desk.post(reverse(f"admin:accounts_{model}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert type(row).objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("model", ["apitoken", "auditentry"])
def test_facts_can_be_neither_added_nor_changed(desk, alice, model):
    token, _text = operations.create_token(alice, ["read"], NOW, CONSOLE)
    row = {"apitoken": token, "auditentry": AuditEntry.objects.first()}[model]
    assert desk.get(reverse(f"admin:accounts_{model}_add")).status_code == 403
    assert desk.post(reverse(f"admin:accounts_{model}_change", args=[row.pk]), {"label": "x"}).status_code == 403
    assert audit.first_break() is None


def test_token_is_revoked_by_action(desk, alice, staff):
    token, _text = operations.create_token(alice, ["read"], NOW, CONSOLE)
    assert "Revoked: 1." in act(desk, "apitoken", "revoke", token.pk).content.decode()
    assert ApiToken.objects.get().revoked_at is not None
    assert AuditEntry.objects.first().actor == staff


def test_user_is_added_by_the_same_operation_as_everywhere(desk, staff):
    form = {"email": "New@Example.com", "password": PASSWORD, "is_staff": ""}
    assert desk.post(reverse("admin:accounts_user_add"), form).status_code == 302
    made = User.objects.get(email="new@example.com")
    assert made.check_password(PASSWORD)
    entry = AuditEntry.objects.get(action="user_created")
    assert (entry.actor, entry.subject) == (staff, f"user:{made.pk}")


def test_weak_password_is_said_in_the_form(desk):
    response = desk.post(reverse("admin:accounts_user_add"), {"email": "new@example.com", "password": "short"})
    assert response.status_code == 200
    assert "too short" in response.content.decode()
    assert not User.objects.filter(email="new@example.com").exists()


def test_address_with_an_account_is_said_in_the_form(desk, alice):
    form = {"email": "ALICE@example.com", "password": PASSWORD}
    assert "already exists" in desk.post(reverse("admin:accounts_user_add"), form).content.decode()


def test_powers_are_changed_and_audited(desk, alice):
    form = {"is_active": "on", "is_staff": "on"}
    assert desk.post(reverse("admin:accounts_user_change", args=[alice.pk]), form).status_code == 302
    alice.refresh_from_db()
    assert (alice.is_active, alice.is_staff, alice.is_superuser) == (True, True, False)
    assert AuditEntry.objects.get(action="user_changed").detail["now"] == {"is_staff": True}


def test_staff_cannot_take_powers(alice):
    clerk = user("clerk@example.com", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(content_type__app_label="accounts"))
    client = Client()
    client.force_login(clerk)
    present_second_factor(client, totp(clerk))
    token, _text = operations.create_token(alice, ["read"], NOW, CONSOLE)
    for target in (clerk, alice):
        client.post(reverse("admin:accounts_user_change", args=[target.pk]), {"is_superuser": "on", "is_staff": "on"})
    act(client, "user", "deactivate", alice.pk)
    act(client, "apitoken", "revoke", token.pk)
    assert not User.objects.filter(is_superuser=True).exists()
    assert User.objects.get(pk=alice.pk).is_active
    assert not User.objects.get(pk=alice.pk).is_staff
    assert ApiToken.objects.get().revoked_at is None


def test_users_are_deactivated_and_activated_but_not_oneself(desk, alice, staff):
    act(desk, "user", "deactivate", alice.pk, staff.pk)
    assert list(User.objects.filter(is_active=True)) == [staff]
    act(desk, "user", "activate", alice.pk)
    assert User.objects.get(pk=alice.pk).is_active


def test_lost_second_factor_is_removed_but_not_ones_own(desk, alice, staff):
    factors = [totp(alice).pk, Authenticator.objects.get(user=staff).pk]
    url = reverse("admin:mfa_authenticator_changelist")
    desk.post(url, {"action": "remove", "_selected_action": factors})
    assert [factor.user for factor in Authenticator.objects.all()] == [staff]
