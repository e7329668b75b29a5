"""docs/risk.md names every code, limit, breaker and condition there is, with the words that the program uses."""

from django.conf import settings
from django.utils import timezone

from bots import promotion
from bots.core.breaker import CODE, LIMIT, Name
from bots.core.codes import MEANING
from bots.core.limits import HELP
from bots.models import BotRun

TEXT = (settings.BASE_DIR / "docs" / "risk.md").read_text(encoding="utf-8")


def test_every_code_stands_there_with_its_meaning() -> None:
    assert [code for code, meaning in MEANING.items() if f"| `{code.value}` | {meaning} |" not in TEXT] == []


def test_every_limit_stands_there_with_its_meaning() -> None:
    assert [name for name, meaning in HELP.items() if f"| `{name}` | {meaning} |" not in TEXT] == []


def test_every_breaker_stands_there_with_its_limit_and_code() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| `")]
    for name in Name:
        row = next(line for line in rows if line.startswith(f"| `{name.value}` | `{LIMIT[name]}` |"))
        assert f"`{CODE[name].value}`" in row


def test_every_condition_of_a_promotion_stands_there(db: None) -> None:
    run = BotRun(pk=1, user_id=1, mode="paper", exchange="demo", started_at=timezone.now())
    assert [
        one.name for one in promotion.conditions(run, None, timezone.now()) if f"| `{one.name}` |" not in TEXT
    ] == []
