"""What happened to an order, and what it executed, can only grow."""

from django.db import migrations

from accounts.append_only import AppendOnly


class Migration(migrations.Migration):
    dependencies = [("bots", "0001_initial")]

    operations = [AppendOnly("bots_orderevent"), AppendOnly("bots_fill")]
