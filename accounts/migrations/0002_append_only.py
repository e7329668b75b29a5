"""The audit log can only grow, and its head can only move on by one."""

from django.db import migrations

from accounts.append_only import AppendOnly


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [
        AppendOnly("accounts_auditentry"),
        AppendOnly("accounts_audithead", allow_update="NEW.id = OLD.id AND NEW.entries = OLD.entries + 1"),
    ]
