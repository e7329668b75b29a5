"""What the cases must hold; apart from the data's own migration, as PostgreSQL wants it."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):

    dependencies = [
        ('bots', '0008_cases'),
    ]

    operations = [
        migrations.AlterField(
            'incident', 'last_at', models.DateTimeField(help_text='The last pass that saw it.')
        ),
        migrations.AddConstraint(
            'incident',
            models.UniqueConstraint(
                condition=Q(resolved_at=None), fields=('account', 'kind', 'subject'), name='case_open_once'
            ),
        ),
        migrations.AddConstraint(
            'incident',
            models.CheckConstraint(
                condition=Q(resolved_at=None) | ~Q(resolution=''), name='case_resolved_with_a_note'
            ),
        ),
    ]
