"""JSON of strangers, against the standard: what it has no number for, or Python reads in silence, is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlib.common.json_text import parse_json

NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(VALUES)
def test_what_python_writes_is_read_as_python_reads_it(value):
    text = json.dumps(value)
    assert parse_json(text) == parse_json(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON: expecting property name"),
        ("NaN", "NaN is no number there"),
        ("[-Infinity]", "-Infinity is no number there"),
        ("-1e999", "the number -1e999 is too large"),
        ("9" * 5000, "a number of 5,000 characters; allowed: 40"),
        ("[" * 100_000, "brackets nested too deeply"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' stands twice"),
        (b"\xff", "not text in UTF-8"),
    ],
)
def test_what_stands_for_no_value_is_refused_with_the_reason(text, message):
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        parse_json(text)
    assert message in str(caught.value)
