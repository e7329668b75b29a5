from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.core import rule_draft
from strategies.core.rule_definition import RuleError, parse_definition
from strategies.core.rule_draft import NUMBER, START, Branch, Draft, Row, Side, edited, place_of, read, written
from strategies.tests.core.definitions import definitions


def definition_of(draft):
    return parse_definition(rule_draft.given(draft))


@settings(max_examples=120, deadline=None)
@given(definitions())
def test_form_says_what_the_definition_says(given):
    definition = parse_definition(given)
    draft = rule_draft.draft_of(definition)
    assert read(written(draft)) == draft
    assert definition_of(read(written(draft))) == definition


@settings(max_examples=150)
@given(
    st.dictionaries(
        st.from_regex(
            r"(entry|exit)(\.[0-3]){0,5}:(size|word|operator|left|right|candles)(\.\w+){0,2}", fullmatch=True
        ),
        st.one_of(
            st.sampled_from(["all", "any", "1", "3", "999", "²", "rsi", "macd.line", "rising", "number"]), st.text()
        ),
        max_size=30,
    )
)
def test_any_form_is_a_draft_and_at_worst_a_refused_rule(texts):
    draft = read(texts)
    assert read(written(draft)) == draft
    with suppress(RuleError):
        assert definition_of(draft).entry.members


def test_first_draft_is_a_rule():
    definition = definition_of(START)
    assert definition.entry.members[0].label == "rsi(14, cutler) crosses above 30"
    assert definition_of(read(written(START))) == definition


def test_words_that_are_not_on_offer_become_the_first_that_is():
    row = read(
        {"entry:size": "1", "entry.0:left": "sqrt", "entry.0:operator": "==", "entry.0:right": "os"}
    ).entry.members[0]
    assert row == Row(Side("open"), "above", Side(NUMBER), "1")


def test_parameters_of_another_indicator_are_not_taken_over():
    texts = {"entry:size": "1", "entry.0:left": "ema", "entry.0:left.rsi.period": "5", "entry.0:left.ema.period": "9"}
    assert read(texts).entry.members[0].left == Side("ema", (("period", "9"),))


@pytest.mark.parametrize("size", ["", "-1", "x", "٣", "1e3", "12345"])
def test_size_that_is_no_count_is_none(size):
    assert read({"entry:size": size}).entry.members == ()


def test_text_that_is_no_number_is_refused_where_it_stands():
    draft = read({**written(START), "entry.0:right.number": "thirty"})
    with pytest.raises(RuleError) as refused:
        definition_of(draft)
    assert refused.value.path == "entry.all[0].right"
    assert place_of(refused.value.path) == "entry.0"


@pytest.mark.parametrize("text", ["true", "[", "NaN", "1e999", '"30"', "null", "[" * 100_000])
def test_json_that_is_no_number_is_no_level(text):
    with pytest.raises(RuleError, match="Expected a number from"):
        definition_of(read({**written(START), "entry.0:right.number": text}))


def test_buttons_add_group_and_remove():
    more = edited(edited(START, "add:entry"), "group:entry")
    assert [type(member) for member in more.entry.members] == [Row, Row, Branch]
    assert more.entry.members[2].word == "any"
    deeper = edited(edited(more, "add:entry.2"), "group:entry.2")
    assert len(deeper.entry.members[2].members) == 3
    assert edited(deeper, "remove:entry.2.0").entry.members[2].members == deeper.entry.members[2].members[1:]
    assert edited(more, "remove:entry.2").entry.members == more.entry.members[:2]
    assert edited(START, "remove:exit.0").exit.members == ()
    assert definition_of(edited(START, "remove:exit.0")).exit is None


@pytest.mark.parametrize(
    "action",
    ["", "add", "add:", "add:stop", "drop:entry", "remove:entry", "remove:entry.9", "add:entry.0", "add:entry.0.1"],
)
def test_button_that_means_nothing_changes_nothing(action):
    assert edited(START, action) == START


def test_group_below_the_deepest_is_read_as_a_condition():
    draft = Draft(Branch("all", (Branch("any", (Branch("all", (Branch("any", (Branch("all"),)),)),)),)), Branch("any"))
    assert isinstance(read(written(draft)).entry.members[0].members[0].members[0].members[0], Row)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("entry.all[0].any[1].right", "entry.0.1"),
        ("exit", "exit"),
        ("exit.any", "exit"),
        ("stop_loss_pct", "stop_loss_pct"),
        ("definition", "definition"),
        ("entry.all[3].left.params.period", "entry.3"),
    ],
)
def test_error_is_found_in_the_form(path, place):
    assert place_of(path) == place
