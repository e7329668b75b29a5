"""Circuit breakers, and every change of one."""

import django.db.models.deletion
from django.db import migrations, models

from accounts.append_only import AppendOnly


class Migration(migrations.Migration):

    dependencies = [
        ('bots', '0004_capital'),
    ]

    operations = [
        migrations.CreateModel(
            name='Breaker',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('level', models.CharField(choices=[('user', 'user'), ('run', 'run')], max_length=8)),
                ('target', models.PositiveBigIntegerField()),
                ('mode', models.CharField(max_length=5)),
                ('name', models.CharField(choices=[('max_drawdown', 'max_drawdown'), ('daily_loss', 'daily_loss'), ('stop_loss_guard', 'stop_loss_guard'), ('loss_streak', 'loss_streak'), ('cooldown', 'cooldown'), ('low_profit', 'low_profit')], max_length=20)),
                ('state', models.CharField(choices=[('closed', 'closed'), ('open', 'open'), ('half_open', 'half_open')], default='closed', max_length=9)),
                ('reason', models.CharField(blank=True, max_length=300)),
                ('tripped_at', models.DateTimeField(null=True)),
                ('half_open_at', models.DateTimeField(help_text='Empty while open: only a person closes it.', null=True)),
                ('since', models.DateTimeField(help_text='Trades that closed before are forgotten.')),
                ('through', models.PositiveBigIntegerField(default=0, help_text='Id of the last closing order that was judged.')),
                ('changed_at', models.DateTimeField()),
                ('changed_by', models.CharField(max_length=64)),
            ],
            options={
                'ordering': ['level', 'target', 'mode', 'name'],
                'constraints': [models.UniqueConstraint(fields=('level', 'target', 'mode', 'name'), name='breaker_one_per_protection'), models.CheckConstraint(condition=models.Q(('state__in', ['closed', 'open', 'half_open'])), name='breaker_state_known'), models.CheckConstraint(condition=models.Q(('state', 'closed'), ('tripped_at__isnull', False), _connector='OR'), name='breaker_open_was_tripped')],
            },
        ),
        migrations.CreateModel(
            name='BreakerEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('from_state', models.CharField(max_length=9)),
                ('to_state', models.CharField(max_length=9)),
                ('reason', models.CharField(blank=True, max_length=300)),
                ('actor', models.CharField(max_length=64)),
                ('at', models.DateTimeField()),
                ('breaker', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='events', to='bots.breaker')),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        AppendOnly('bots_breakerevent'),
    ]
