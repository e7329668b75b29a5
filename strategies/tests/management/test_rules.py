import io
import json

import pytest
from django.core.management import CommandError, call_command

from accounts.management.base import Exit
from strategies.models import RuleSet
from strategies.tests.cases import DEFINITION, WRONG, rule_set

WHO = {"user": "alice@example.com", "at": "2026-03-01T12:00:00Z"}


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "rule.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


def refused(*args, **options):
    with pytest.raises(CommandError) as error:
        call_command(*args, **options)
    return error.value.returncode, str(error.value)


def test_exported_rule_set_is_imported_again(alice, bob, file, capsys):
    made = rule_set(alice, description="Why.")
    call_command("rules_export", made.pk)
    exported = capsys.readouterr().out
    call_command("rules_import", file(exported), user="bob@example.com", at=WHO["at"])
    copy = RuleSet.objects.get(owner=bob)
    assert (copy.name, copy.description, copy.definition) == (made.name, made.description, made.definition)
    assert copy.created_at.isoformat() == "2026-03-01T12:00:00+00:00"
    assert capsys.readouterr().out.split()[:3] == [str(copy.pk), "v1", "Dips:"]


def test_list_tells_each_in_plain_sentences(alice, capsys):
    made = rule_set(alice)
    call_command("rules_list", "alice@example.com")
    assert "Dips: Buys when the RSI of 14 candles (cutler) crosses above 30. Sells when" in capsys.readouterr().out
    call_command("rules_list", "alice@example.com", json=True)
    (item,) = json.loads(capsys.readouterr().out)["items"]
    assert (item["id"], item["version"], item["limits"]) == (made.pk, 1, {"stop_loss_pct": "5"})


def test_bare_definition_wants_a_name(alice, file, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(DEFINITION)))
    call_command("rules_import", "-", name="Piped", json=True, **WHO)
    assert json.loads(capsys.readouterr().out)["name"] == "Piped"
    assert refused("rules_import", file(DEFINITION), **WHO) == (
        Exit.INVALID, "name: Expected 1 to 80 printable characters, was 0.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "Expected JSON"),
        ("[" * 100_000, "Expected JSON"),
        ("[]", "Expected a JSON object, was list."),
        ({"definition": WRONG, "name": "x"}, "entry.all[0].right: Expected a number"),
        ({"definition": DEFINITION, "name": 3}, "name: Expected a text, was int."),
        ({"definition": DEFINITION, "name": "x", "owner": 1}, "was owner too."),
    ],
)
def test_file_that_is_no_rule_stores_nothing(content, message, alice, file):
    code, text = refused("rules_import", file(content), **WHO)
    assert code == Exit.INVALID
    assert message in text
    assert not RuleSet.objects.exists()


def test_what_is_not_there_is_not_found(alice, file, tmp_path):
    assert refused("rules_import", str(tmp_path / "none.json"), **WHO)[0] == Exit.NOT_FOUND
    assert refused("rules_import", str(tmp_path), **WHO)[0] == Exit.INVALID
    assert refused("rules_import", file(DEFINITION), name="x", user="nobody@example.com")[0] == Exit.NOT_FOUND
    assert refused("rules_export", 999)[0] == Exit.NOT_FOUND
    assert refused("rules_list", "nobody@example.com")[0] == Exit.NOT_FOUND


def test_name_that_is_taken_is_refused(alice, file):
    rule_set(alice)
    assert refused("rules_import", file({"name": "dips", "definition": DEFINITION}), **WHO)[0] == Exit.INVALID
