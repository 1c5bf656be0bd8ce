"""YAML is read strictly: what would pass in silence is a fault, whatever is fed ends in values or faults."""

from __future__ import annotations

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from railwatch.strict_yaml import MAX_BYTES, MAX_DEPTH, read_yaml, shown


def test_plain_words_follow_yaml_1_2():
    document = read_yaml(b"[no, on, true, 7, -0.5, 1e3, '3', ~, 2024-01-01, .inf, 1_000, 0x10, 1:30]")
    assert document.faults == []
    words = ["no", "on", True, 7, -0.5, 1000.0, "3", None, "2024-01-01", math.inf, "1_000", "0x10", "1:30"]
    assert document.value == words


def test_every_value_has_its_line():
    document = read_yaml(b"a: 1\nb:\n  - c: 2\n    d:\n      - 3\n")
    assert document.lines[("a",)] == 1
    assert document.lines[("b",)] == 2
    assert document.lines[("b", 0, "c")] == 3
    assert document.lines[("b", 0, "d", 0)] == 5


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"", 0, "an empty file"),
        (b"# only a comment\n", 0, "an empty file"),
        (b"a: 1\nb: 2\na: 3\n", 3, "stands in line 1 already"),
        (b"a: &x 1", 1, "no anchors"),
        (b"a: 1\nb: *x\n", 2, "no aliases"),
        (b"a: !!python/object/apply:os.system [ls]", 1, "no tags"),
        (b"a: ! 1", 1, "no tags"),
        (b"? [1, 2]\n: 3", 1, "text as keys"),
        (b"a: 1\n\tb: 2", 2, "indented with spaces"),
        (b"a: 1\n---\nb: 2\n", 2, "another document"),
        (b"a: b: c", 1, "valid YAML"),
        (b"ok: 1\na: 'open", 2, "valid YAML"),
        (b"%YAML 9.9\n---\na: 1", 1, "valid YAML"),
        (b"a: 1\nb: \x00", 2, "control character"),
        (b"a: 1\nb: \xff", 2, "UTF-8"),
        (b"\x89PNG\r\n\x1a\n", 1, "UTF-8"),
        (b"a: " + b"x" * 5000, 1, "4096 characters"),
        (b"a: " + b"9" * 5000, 1, "4096 characters"),
        (b"[" * 100_000, 1, f"at most {MAX_DEPTH} deep"),
        (b"#" * (MAX_BYTES + 1), 0, f"at most {MAX_BYTES} bytes"),
    ],
)
def test_a_fault_names_its_line_and_the_rule(data, line, words):
    (fault,) = read_yaml(data).faults
    assert fault.line == line
    assert words in str(fault)


def test_an_alias_bomb_is_not_expanded():
    rows = ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 19))]
    document = read_yaml("\n".join(rows).encode())
    assert document.value["a18"] == [None, None]
    assert {"alias", "anchor"} == {fault.value.split()[0] for fault in document.faults}


def test_all_faults_of_a_readable_document_are_told():
    document = read_yaml(b"a: &x 1\nb: !t 2\nc: *x\nb: 3\n")
    assert [fault.line for fault in document.faults] == [1, 2, 3, 4]
    assert document.value == {"a": 1, "b": "2", "c": None}
    assert document.unread == {("c",)}


def test_what_is_shown_cannot_command_a_terminal():
    text = shown("\x1b[2J" + "x" * 100)
    assert text.isprintable()
    assert len(text) < 70


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("abc: #'\"-[]{}é", max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text("abcd", min_size=1), plain, min_size=1))
def test_what_yaml_writes_is_read_back(value):
    class Plainly(yaml.SafeDumper):
        def ignore_aliases(self, data):
            return True

    document = read_yaml(yaml.dump(value, Dumper=Plainly, allow_unicode=True).encode())
    assert document.faults == []
    assert document.value == value


@given(st.binary(max_size=200) | st.text("ab:-[]{}&*!|>?%@'\"#\n\t, 01.", max_size=60).map(str.encode))
def test_any_bytes_end_in_a_value_or_in_faults(data):
    document = read_yaml(data)
    assert document.value is not None or document.faults or data.strip()
    for fault in document.faults:
        assert "\n" not in str(fault)
