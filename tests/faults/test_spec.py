"""``-faults SPEC``: what it means, and one line for what it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import CommandError
from faults.exact import ExactFaults, Facts
from faults.link import LinkFaults
from faults.spec import FaultSpec, Rule, parse_faults


def test_every_part() -> None:
    spec = parse_faults(
        "loss=5%,delay=40ms; jitter=0.5s, rate=10mbit,seed=7,burst=1%/20%,partition=3+4,corrupt=0.01"
    )
    assert spec.seed == 7 and spec.cut_off == {3, 4} and not spec.rules
    assert spec.link == LinkFaults(
        loss=0.05, delay=0.04, jitter=0.5, rate=1_250_000, burst_begin=0.01, burst_end=0.2, corrupt=0.01
    )


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('drop "DATA 2" once', Rule("drop", "DATA", 2, times=1)),
        ('delay "request 3" 200ms', Rule("delay", "REQUEST", 3, seconds=0.2)),
        ('corrupt "DATA 1" 3 times', Rule("corrupt", "DATA", 1, times=3)),
        ('drop "piece 17 from node 3"', Rule("drop", piece=17, sender=3)),
        ('drop "DATA" 3 times', Rule("drop", "DATA", times=3)),
        ('drop "ASK to node 5"', Rule("drop", "ASK", receiver=5)),
        ('drop "not interested" once', Rule("drop", "NOT INTERESTED", times=1)),
    ],
)
def test_exact_faults(text: str, rule: Rule) -> None:
    assert parse_faults(text).rules == (rule,)
    assert parse_faults(text.replace('"', "")).rules == (rule,)  # PowerShell has trouble with inner quotes


@pytest.mark.parametrize("text", ["", "off", "  "])
def test_no_faults(text: str) -> None:
    assert parse_faults(text).is_empty


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("loss=500%", "probability"),
        ("lost=5%", "there is loss"),
        ("delay=40", "40ms"),
        ("rate=fast", "10mbit"),
        ("drop DATA 2 twice", "names no message"),
        ('drop "DATA 2" twice', "once"),
        ('delay "DATA 2"', "needs a time"),
        ('drop "DATA 2', "needs a message"),
        ("seed=-1", "whole number"),
    ],
)
def test_a_mistake_is_named_in_one_line(text: str, words: str) -> None:
    with pytest.raises(CommandError, match=words) as raised:
        parse_faults(text)
    assert "\n" not in str(raised.value)


@given(st.text(max_size=80))
def test_any_text_is_a_specification_or_an_error(text: str) -> None:
    try:
        spec = parse_faults(text)
    except CommandError:
        return
    assert isinstance(spec, FaultSpec)


def test_a_rule_hits_exactly_what_it_names_and_as_often() -> None:
    exact = ExactFaults(parse_faults('drop "DATA 2" once; drop "piece 1 from node 3"; drop "REQUEST"').rules)
    exact.piece_length = 1000
    hits = [
        exact.hit(facts) is not None
        for facts in (
            Facts("DATA", 1),
            Facts("DATA", 2),
            Facts("DATA", 2),
            Facts("DATA", 3, (900, 1001), sender=3),
            Facts("DATA", 4, (900, 1000), sender=3),
            Facts("DATA", 5, (1999, 2100), sender=3),
            Facts("DATA", 6, (1000, 2000), sender=4),
            Facts("REQUEST", 9, (0, 5000)),
        )
    ]
    assert hits == [False, True, False, True, False, True, False, True]
