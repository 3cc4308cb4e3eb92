"""The compiled EVT 3 decoder against the definition of its words, one after the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurosim.datasets import formats as f
from neurosim.errors import FileFormatError, ParameterError

HEADER = b"% evt 3.0\n% format EVT3;height=720;width=1280\n% end\n"


def word(kind, value):
    return kind << 12 | value


def Y(y):
    return word(0x0, y)


def X(x, p=0):
    return word(0x2, p << 11 | x)


def BASE(x, p=0):
    return word(0x3, p << 11 | x)


def V12(bits):
    return word(0x4, bits)


def V8(bits):
    return word(0x5, bits)


def LOW(t):
    return word(0x6, t)


def HIGH(t):
    return word(0x8, t)


def by_definition(words):
    """Decode as the documentation of EVT 3.0 says, in plain Python."""
    events, high, low, turns, y, base = [], None, 0, 0, None, None
    for w in words:
        kind, value = w >> 12, w & 0xFFF
        if kind == 0x0:
            y = value & 0x7FF
        elif kind == 0x6:
            low = value
        elif kind == 0x8:
            if high is not None and value - high < -2048:
                turns += 1
            elif high is not None and value - high > 2048:
                turns = max(turns - 1, 0)
            high, low = value, 0
        elif kind == 0x3:
            base, on = value & 0x7FF, value >> 11 == 1
        pixels = []
        if kind == 0x2:
            pixels = [(value & 0x7FF, value >> 11 == 1)]
        elif kind in (0x4, 0x5) and base is not None:
            width = 12 if kind == 0x4 else 8
            pixels = [(base + i, on) for i in range(width) if value >> i & 1]
            base += width
        if high is not None and y is not None:
            t = turns * 2**24 + high * 4096 + low
            events += [(x, y, t, p) for x, p in pixels]
    return events


def read(path, words, header=HEADER, **options):
    path.write_bytes(header + np.array(words, "<u2").tobytes())
    return f.read_evt3(path, **options)


vectors = st.integers(0, 0xFFF)
WORDS = st.one_of(
    st.builds(Y, st.integers(0, 719)),
    st.builds(X, st.integers(0, 1279), st.integers(0, 1)),
    st.builds(BASE, st.integers(0, 1000), st.integers(0, 1)),
    st.builds(V12, vectors),
    st.builds(V8, vectors),  # the upper four bits have no meaning
    st.builds(LOW, vectors),
    st.builds(HIGH, vectors),
    st.builds(word, st.sampled_from([0x7, 0xA, 0xE, 0xF]), vectors),
)


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(WORDS, max_size=60), st.booleans())
def test_equals_the_definition(tmp_path, words, known):
    # half of the streams begin with time and row, as after the first milliseconds of a recording
    words = ([HIGH(4094), LOW(7), Y(5)] if known else []) + words
    expected = [e for e in by_definition(words) if e[0] < 2048]
    assert read(tmp_path / "a.raw", words, sensor_size=(2048, 2048)).tolist() == expected


def test_a_vector_is_a_row_of_events(tmp_path):
    words = [HIGH(0), LOW(9), Y(3), BASE(100, 1), V12(0b100000000001), V12(0), V8(0b10), V8(1)]
    assert read(tmp_path / "a", words).tolist() == [
        (100, 3, 9, True), (111, 3, 9, True), (125, 3, 9, True), (132, 3, 9, True)
    ]  # fmt: skip


def test_the_clock_turns_every_16777216_us(tmp_path):
    words = [Y(1), HIGH(4095), LOW(4095), X(1), HIGH(0), LOW(0), X(2)]
    words += [HIGH(2000), X(3), HIGH(4000), X(4), HIGH(5), LOW(1), X(5)]
    turn = 1 << 24
    assert read(tmp_path / "a", words)["t"].tolist() == [
        turn - 1, turn, turn + (2000 << 12), turn + (4000 << 12), 2 * turn + (5 << 12) + 1
    ]  # fmt: skip


def test_nothing_before_the_time_and_the_row_are_known(tmp_path):
    words = [X(1), V12(1), LOW(3), Y(2), X(2), HIGH(1), V8(1), X(3)]
    assert read(tmp_path / "a", words).tolist() == [(3, 2, 4096, False)]


def test_errors_name_the_byte(tmp_path):
    start = len(HEADER)
    with pytest.raises(FileFormatError, match=f"at byte {start + 4}, a word of type .* type 9"):
        read(tmp_path / "a", [HIGH(0), Y(0), word(0x9, 0)])
    for words, at, text in (
        ([HIGH(0), Y(0), X(1280)], 4, "x=1280, y=0"),
        ([HIGH(0), Y(720), X(3)], 4, "x=3, y=720"),
        ([HIGH(0), Y(0), BASE(1270), V12(0x3FF), V12(1)], 8, "x=1282, y=0"),
    ):
        with pytest.raises(FileFormatError, match=f"at byte {start + at}, a pixel of the 1280 x"):
            read(tmp_path / "a", words)
        with pytest.raises(FileFormatError, match=text):
            read(tmp_path / "a", words)


def test_vectors_without_end_leave_the_sensor(tmp_path):
    with pytest.raises(FileFormatError, match="a pixel of the 2048 x 2048 sensor"):
        read(tmp_path / "a", [HIGH(0), Y(0), BASE(0)] + [V12(0xFFF)] * 200, header=b"% evt 3.0\n")


def test_the_writer_needs_order(tmp_path):
    events = f.make_events(t=[5, 4], x=[0, 0], y=[0, 0], p=[0, 0])
    with pytest.raises(ParameterError, match="must be in order of time; sort them first"):
        f.write_evt3(tmp_path / "a", events)
    events = f.make_events(t=[1 << 42], x=[0], y=[0], p=[0])
    with pytest.raises(ParameterError, match="is not below"):
        f.write_evt3(tmp_path / "a", events)
