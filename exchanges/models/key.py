"""A user's exchange key: ciphertext only, each field with its own nonce."""

import uuid

from django.conf import settings
from django.db import models

from accounts.models import User


class ExchangeKeyQuerySet(models.QuerySet["ExchangeKey"]):
    def for_user(self, user: User) -> "ExchangeKeyQuerySet":
        return self.filter(owner=user)

    def present(self) -> "ExchangeKeyQuerySet":
        """Not deleted; a deleted key's row stays for the ledger, without its ciphertext."""
        return self.filter(deleted_at=None)


class ExchangeKey(models.Model):
    class Permissions(models.TextChoices):
        UNVERIFIED = "unverified"
        READ = "read"
        TRADE = "trade"

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="exchange_keys")
    uuid = models.UUIDField(default=uuid.uuid4, editable=False)
    exchange = models.CharField(max_length=32)
    label = models.CharField(max_length=80, blank=True)
    api_key_hint = models.CharField(max_length=8, help_text="Last four characters of the API key.")
    fingerprint = models.CharField(max_length=16, help_text="Keyed hash of the API key, to find a duplicate.")
    encrypted_key = models.TextField()
    iv_key = models.CharField(max_length=16)
    encrypted_secret = models.TextField()
    iv_secret = models.CharField(max_length=16)
    encrypted_passphrase = models.TextField(blank=True)
    iv_passphrase = models.CharField(max_length=16, blank=True)
    key_id = models.CharField(max_length=8, help_text="Fingerprint of the master key that encrypted the fields.")
    row_version = models.PositiveBigIntegerField(default=1)
    permissions = models.CharField(max_length=12, choices=Permissions, default=Permissions.UNVERIFIED)
    can_withdraw = models.BooleanField(null=True)
    ip_restricted = models.BooleanField(null=True)
    created_at = models.DateTimeField()
    last_checked_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)

    objects = ExchangeKeyQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["uuid"], name="key_uuid_unique"),
            models.UniqueConstraint(
                fields=["owner", "exchange", "fingerprint"],
                condition=models.Q(deleted_at=None),
                name="key_added_once",
            ),
            models.CheckConstraint(
                condition=models.Q(deleted_at=None, encrypted_secret__gt="")
                | models.Q(deleted_at__isnull=False, encrypted_secret=""),
                name="key_erased_when_deleted",
            ),
        ]
        indexes = [models.Index(fields=["owner", "-id"], name="key_by_owner")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.exchange} {self.label} …{self.api_key_hint}"
