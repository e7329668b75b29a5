"""The capital ledger; runs that are under way reserve what they started with."""

import django.db.models.deletion
import exchanges.models.exact
from django.db import migrations, models

from accounts.append_only import AppendOnly


def reserve(apps, schema_editor):
    runs = apps.get_model('bots', 'BotRun').objects.exclude(status='stopped')
    entry = apps.get_model('bots', 'CapitalEntry')
    entry.objects.bulk_create(
        entry(account_id=run.account_id, run=run, quote=run.quote, kind='reserve', amount=run.capital, at=run.started_at)
        for run in runs
    )


class Migration(migrations.Migration):

    dependencies = [
        ('bots', '0003_research'),
    ]

    operations = [
        migrations.CreateModel(
            name='CapitalEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('quote', models.CharField(max_length=16)),
                ('kind', models.CharField(choices=[('reserve', 'Reserve'), ('release', 'Release')], max_length=7)),
                ('amount', exchanges.models.exact.ExactDecimalField(decimal_places=18, help_text='What was set aside, or what the run owned when it gave it back.', max_digits=36)),
                ('at', models.DateTimeField()),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='capital_entries', to='bots.tradingaccount')),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='capital_entries', to='bots.botrun')),
            ],
            options={
                'verbose_name_plural': 'capital entries',
                'ordering': ['-id'],
                'indexes': [models.Index(fields=['account', 'quote'], name='capital_by_account')],
                'constraints': [models.UniqueConstraint(fields=('run', 'kind'), name='capital_once_per_run_and_kind'), models.CheckConstraint(condition=models.Q(('kind__in', ['reserve', 'release'])), name='capital_kind_known'), models.CheckConstraint(condition=models.Q(('amount__gte', 0)), name='capital_not_negative')],
            },
        ),
        AppendOnly('bots_capitalentry'),
        migrations.RunPython(reserve, migrations.RunPython.noop),
    ]
