"""A rule as a form holds it: texts by place, half-finished as they may be, and back to a definition.

A place is a path such as ``entry.0.1``; what stands there has its facts under ``entry.0.1:left``. A group is drawn
by its word (all, any) and the number of its members, so a form without any script says all there is to say.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from strategies.core.catalogue import CATALOGUE
from strategies.core.rule_definition import (
    LOOKING_BACK,
    MAX_CONDITIONS,
    MAX_DEPTH,
    OPERATORS,
    PROTECTIONS,
    Condition,
    Definition,
    Group,
    Operand,
)
from strategies.core.rule_words import protections

NUMBER = "number"
#: Everything that can stand on a side of a condition, as ``macd.signal``.
OPERANDS = tuple(
    name if len(known.outputs) == 1 else f"{name}.{output}"
    for name, known in CATALOGUE.items()
    for output in known.outputs
)
ACTION = re.compile(r"(add|group|remove):((?:entry|exit)(?:\.\d{1,2}){0,5})")


@dataclass(frozen=True, slots=True)
class Side:
    """``name`` is one of `OPERANDS`, or `NUMBER` with its text in ``number``."""

    name: str
    params: tuple[tuple[str, str], ...] = ()
    number: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    left: Side
    operator: str
    right: Side
    candles: str = "1"


@dataclass(frozen=True, slots=True)
class Branch:
    word: str
    members: tuple["Row | Branch", ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """An exit without members is no exit rule."""

    entry: Branch
    exit: Branch
    protections: tuple[tuple[str, str], ...] = ()


FIRST = Row(Side("rsi"), "crosses_above", Side(NUMBER, number="30"))
START = Draft(
    Branch("all", (FIRST,)),
    Branch("any", (Row(Side("rsi"), "crosses_below", Side(NUMBER, number="70")),)),
    (("stop_loss_pct", "5"),),
)


# --- from the texts of a form ------------------------------------------------------------------------------------


def read(texts: Mapping[str, str]) -> Draft:
    """What a form says; a word that is not on offer becomes the first that is."""
    return Draft(
        _branch(texts, "entry", 1),
        _branch(texts, "exit", 1),
        tuple((p.name, texts.get(p.name, "").strip()) for p in PROTECTIONS if texts.get(p.name, "").strip()),
    )


def _branch(texts: Mapping[str, str], place: str, depth: int) -> Branch:
    size = texts.get(f"{place}:size", "0")
    count = min(int(size), MAX_CONDITIONS + 1) if size.isascii() and size.isdigit() and len(size) < 4 else 0
    word = "any" if texts.get(f"{place}:word") == "any" else "all"
    return Branch(word, tuple(_member(texts, f"{place}.{index}", depth) for index in range(count)))


def _member(texts: Mapping[str, str], place: str, depth: int) -> Row | Branch:
    if f"{place}:size" in texts and depth < MAX_DEPTH:
        return _branch(texts, place, depth + 1)
    operator = texts.get(f"{place}:operator", "")
    return Row(
        _side(texts, f"{place}:left", OPERANDS),
        operator if operator in OPERATORS else OPERATORS[0],
        _side(texts, f"{place}:right", (NUMBER, *OPERANDS)),
        texts.get(f"{place}:candles", "1").strip(),
    )


def _side(texts: Mapping[str, str], place: str, offered: Sequence[str]) -> Side:
    name = texts.get(place, "")
    name = name if name in offered else offered[0]
    if name == NUMBER:
        return Side(NUMBER, number=texts.get(f"{place}.number", "").strip())
    known = CATALOGUE[name.split(".")[0]].parameters
    # Fields are named after the indicator too: what another one was told does not become this one's.
    given = ((p.name, texts.get(f"{place}.{name.split('.')[0]}.{p.name}", "").strip()) for p in known)
    return Side(name, tuple((parameter, text) for parameter, text in given if text))


# --- to the texts of a form --------------------------------------------------------------------------------------


def written(draft: Draft) -> dict[str, str]:
    """The texts that `read` makes this draft of."""
    texts = dict(draft.protections)
    for place, branch in (("entry", draft.entry), ("exit", draft.exit)):
        texts |= dict(_branch_texts(place, branch))
    return texts


def _branch_texts(place: str, branch: Branch) -> Iterator[tuple[str, str]]:
    yield f"{place}:word", branch.word
    yield f"{place}:size", str(len(branch.members))
    for index, member in enumerate(branch.members):
        here = f"{place}.{index}"
        yield from _branch_texts(here, member) if isinstance(member, Branch) else _row_texts(here, member)


def _row_texts(place: str, row: Row) -> Iterator[tuple[str, str]]:
    yield f"{place}:operator", row.operator
    yield f"{place}:candles", row.candles
    for word, side in (("left", row.left), ("right", row.right)):
        yield f"{place}:{word}", side.name
        if side.name == NUMBER:
            yield f"{place}:{word}.number", side.number
        for name, text in side.params:
            yield f"{place}:{word}.{side.name.split('.')[0]}.{name}", text


# --- from and to a definition ------------------------------------------------------------------------------------


def draft_of(definition: Definition) -> Draft:
    exit_ = _drafted(definition.exit) if definition.exit else Branch("any")
    return Draft(_drafted(definition.entry), exit_, tuple(protections(definition).items()))


def _drafted(group: Group) -> Branch:
    members = tuple(_drafted(m) if isinstance(m, Group) else _row(m) for m in group.members)
    return Branch("all" if group.every else "any", members)


def _row(condition: Condition) -> Row:
    right = condition.right
    side = _side_of(right) if isinstance(right, Operand) else Side(NUMBER, number="" if right is None else _text(right))
    return Row(_side_of(condition.left), condition.operator, side, str(condition.candles))


def _side_of(operand: Operand) -> Side:
    several = len(CATALOGUE[operand.indicator].outputs) > 1
    name = f"{operand.indicator}.{operand.output}" if several else operand.indicator
    return Side(name, tuple((parameter, _text(value)) for parameter, value in operand.params))


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def given(draft: Draft) -> dict[str, Any]:
    """JSON for `parse_definition`, which refuses whatever text is no number."""
    definition: dict[str, Any] = {"entry": _given_group(draft.entry)}
    if draft.exit.members:
        definition["exit"] = _given_group(draft.exit)
    return definition | dict(draft.protections)


def _given_group(branch: Branch) -> dict[str, Any]:
    return {branch.word: [_given_group(m) if isinstance(m, Branch) else _given_row(m) for m in branch.members]}


def _given_row(row: Row) -> dict[str, Any]:
    condition: dict[str, Any] = {"left": _given_side(row.left), "operator": row.operator}
    if row.operator in LOOKING_BACK:
        return {**condition, "candles": _number(row.candles)}
    return {**condition, "right": _given_side(row.right)}


def _given_side(side: Side) -> Any:
    if side.name == NUMBER:
        return _number(side.number)
    indicator, _, output = side.name.partition(".")
    operand: dict[str, Any] = {"indicator": indicator, "params": {name: _number(text) for name, text in side.params}}
    return {**operand, "output": output} if output else operand


def _number(text: str) -> Any:
    """The number that a text is, else the text for the definition's own reading."""
    try:
        number = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return number if isinstance(number, int | float) and not isinstance(number, bool) else text


# --- changes -----------------------------------------------------------------------------------------------------


def edited(draft: Draft, action: str) -> Draft:
    """The draft after a button: ``add:entry.1`` a condition, ``group:…`` a group, ``remove:…``; unknown: unchanged."""
    match = ACTION.fullmatch(action)
    if match is None:
        return draft
    verb, place = match.groups()
    top, *steps = place.split(".")
    changed = _changed(getattr(draft, top), verb, [int(step) for step in steps])
    return replace(draft, entry=changed) if top == "entry" else replace(draft, exit=changed)


def _changed(branch: Branch, verb: str, steps: Sequence[int]) -> Branch:
    members = list(branch.members)
    if not steps:
        if verb != "remove":
            other = "any" if branch.word == "all" else "all"
            members.append(FIRST if verb == "add" else Branch(other, (FIRST,)))
        return replace(branch, members=tuple(members))
    index, *deeper = steps
    if index >= len(members):
        return branch
    member = members[index]
    if not deeper and verb == "remove":
        del members[index]
    elif isinstance(member, Branch):
        members[index] = _changed(member, verb, deeper)
    return replace(branch, members=tuple(members))


def place_of(path: str) -> str:
    """Where in the form an error's path is: ``entry.all[0].any[1].right`` → ``entry.0.1``, else its first word."""
    steps = re.findall(r"(?:all|any)\[(\d+)\]", path)
    return ".".join([path.split(".")[0], *steps])
