"""Reconciliation cases: one open for each subject, with what it holds back; the account's own gate."""

from decimal import Decimal

from django.db import migrations, models
from django.db.models import F

LEVELS = [(level, level.capitalize()) for level in ("platform", "user", "key", "run", "account")]
STATES = [(state, state.capitalize()) for state in ("ACTIVE", "REDUCING", "HALTED")]
KINDS = [
    ("balance_mismatch", "Balance differs"),
    ("orphan", "Order without a row"),
    ("late_order", "Order stands after its end"),
    ("late_fill", "Fill after the end"),
    ("overfill", "More filled than asked"),
    ("unresolved", "Order in doubt"),
]
MILD = ("balance_mismatch", "unresolved")


def complete(apps, schema_editor):
    """What the new columns hold of the cases so far; accounts with an open one are held from here on."""
    Incident, Account, Gate = (apps.get_model("bots", name) for name in ("Incident", "TradingAccount", "TradingGate"))
    Account.objects.update(suspects={})
    Incident.objects.update(last_at=F("at"))
    Incident.objects.exclude(resolved_at=None).filter(resolution="").update(resolution="Resolved.")
    known = set()
    for case in Incident.objects.select_related("account").order_by("-id"):
        _complete(case)
        name = (case.account_id, case.kind, case.subject)
        if case.resolved_at is None and name in known:
            case.resolved_at, case.resolution = case.at, "Goes on in a newer case about the same."
        elif case.resolved_at is None:
            known.add(name)
        case.save()
    for account in sorted({account for account, _, _ in known}):
        held = Incident.objects.filter(account=account, resolved_at=None)
        worst = "HALTED" if held.filter(hold="HALTED").exists() else "REDUCING"
        newest = held.order_by("-id").first()
        Gate.objects.create(
            level="account", target=account, state=worst, reason=f"Case {newest.pk}: {newest.detail}"[:300],
            actor="system", changed_at=newest.at,
        )


def _complete(case):
    case.subject = str(case.evidence.get("asset") or case.evidence.get("subject") or case.pk)[:96]
    case.hold = "REDUCING" if case.kind in MILD else "HALTED"
    if "asset" in case.evidence:
        outside = Decimal(case.account.outside.get(case.evidence["asset"], "0"))
        case.evidence["held"] = format(Decimal(case.evidence["total"]) - outside, "f")


class Migration(migrations.Migration):

    dependencies = [
        ('bots', '0007_candle_downloads'),
    ]

    operations = [
        migrations.AlterModelOptions(name='incident', options={'ordering': ['-id'], 'verbose_name': 'case'}),
        migrations.AlterField('tradinggate', 'level', models.CharField(choices=LEVELS, max_length=8)),
        migrations.AlterField('risklimits', 'level', models.CharField(choices=LEVELS, max_length=8)),
        migrations.AlterField(
            'tradingaccount',
            'suspects',
            models.JSONField(default=dict, help_text='Asset → the balances of the first pass that disagreed.'),
        ),
        migrations.AlterField('incident', 'kind', models.CharField(choices=KINDS, max_length=32)),
        migrations.AddField(
            'incident',
            'subject',
            models.CharField(
                default='', help_text='What it is about; one open case for each.', max_length=96
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            'incident', 'hold', models.CharField(choices=STATES, default='HALTED', max_length=8), preserve_default=False
        ),
        migrations.AddField(
            'incident', 'last_at', models.DateTimeField(help_text='The last pass that saw it.', null=True)
        ),
        migrations.AddField(
            'incident',
            'passes',
            models.PositiveIntegerField(default=1, help_text='In how many passes it was seen.'),
        ),
        migrations.AddField('incident', 'agreed_at', models.DateTimeField(blank=True, null=True)),
        migrations.AddField('incident', 'resolved_by', models.CharField(blank=True, max_length=64)),
        migrations.RunPython(complete, migrations.RunPython.noop),
    ]
