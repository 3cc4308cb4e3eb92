"""A damaged file gives FileFormatError with its name and the byte, or what is whole of it."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest
from formats_cases import CASES, sample
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurosim.datasets import formats as f
from neurosim.errors import FileFormatError, MissingPackageError

SETTINGS = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def valid(events: np.ndarray) -> bool:
    """Return whether events could be those of a sensor."""
    fields = events["x"], events["y"], events["t"]
    return events.dtype == f.VISION and all((field >= 0).all() for field in fields)


@pytest.mark.parametrize("name", CASES)
def test_truncated_at_every_byte(name, tmp_path):
    case = CASES[name]
    events = sample(case, 12, span=100)
    path = tmp_path / "whole"
    case.write(path, events)
    whole = path.read_bytes()
    cut = tmp_path / "cut.bin"
    n_errors = 0
    for n in range(len(whole)):
        cut.write_bytes(whole[:n])
        try:
            part = case.read(cut)
        except FileFormatError as error:
            n_errors += 1
            assert re.search(r"cut\.bin is damaged or not an? .*at byte \d+, .* is expected, but",
                             str(error))  # fmt: skip
        else:  # a file may end after any event
            np.testing.assert_array_equal(part, events[: part.size])
            assert part.size < events.size
    assert n_errors > len(whole) // 3


@pytest.mark.parametrize("name", CASES)
def test_changed_bytes(name, tmp_path):
    case = CASES[name]
    case.write(tmp_path / "whole", sample(case, 12, span=100))
    whole = (tmp_path / "whole").read_bytes()
    path = tmp_path / "a"

    @SETTINGS
    @given(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=4))
    def check(changes):
        data = bytearray(whole)
        for at, value in changes:
            data[at] = value
        path.write_bytes(data)
        try:
            events = case.read(path)
        except FileFormatError as error:
            assert str(path) in str(error)
        except MissingPackageError:
            assert name == "aedat4"  # the byte that says how packets are compressed
        else:
            assert valid(events)

    check()


@pytest.mark.parametrize("name", CASES)
def test_any_bytes_after_a_good_header(name, tmp_path):
    case = CASES[name]
    case.write(tmp_path / "whole", sample(case, 0))
    header = (tmp_path / "whole").read_bytes()
    path = tmp_path / "a"

    @SETTINGS
    @given(st.binary(max_size=200))
    def check(body):
        path.write_bytes(header + body)
        try:
            events = case.read(path)
        except FileFormatError as error:
            assert str(path) in str(error)
        else:
            assert valid(events)

    check()


STARTS = [b"", b"% ", b"% evt 3.0\n", b"\x89HDF\r\n\x1a\n"]
STARTS += [b"#!AER-DAT%s\r\n" % version for version in (b"2.0", b"3.1", b"4.0")]


@SETTINGS
@given(body=st.binary(max_size=120))
@pytest.mark.parametrize("start", STARTS)
def test_any_bytes_for_the_dispatcher(start, body, tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(start + body)
    try:
        events = f.read_events(path)
    except FileFormatError as error:
        assert "a.bin" in str(error)
    else:
        assert valid(events)


def test_coordinates_outside_name_byte_and_pixel(tmp_path):
    for name, case in CASES.items():
        events = f.make_events(t=[0, 1, 2], x=[0, 1, 30], y=[0, 3, 20], p=[1, 1, 0])
        case.write(tmp_path / "a", events)
        size = (tmp_path / "a").stat().st_size
        with pytest.raises(FileFormatError) as caught:
            case.read(tmp_path / "a", sensor_size=(30, 20))
        found = re.search(
            r"at byte (\d+), .*30 x 20 sensor .*x ?= ?30, y ?= ?20", str(caught.value)
        )
        assert found, (name, caught.value)
        if name != "aedat4":  # which names the packet, as the event's bytes are compressed
            assert int(found[1]) == size - {"nmnist": 5, "evt2": 4, "evt3": 2}.get(name, 8)


def packet(**changes):
    """Return an AEDAT 3.1 file with one event and changes to its packet's header."""
    fields = {"kind": 1, "source": 0, "size": 8, "offset": 4, "overflows": 0,
              "capacity": 1, "number": 1, "valid": 1} | changes  # fmt: skip
    head = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"
    return head + struct.pack("<hhiiiiii", *fields.values()) + struct.pack("<Ii", 1, 5)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"number": 2**31 - 1, "capacity": 2**31 - 1}, "a packet of 2147483647 events of 8 bytes"),
        ({"number": -1}, "0 <= valid <= number <= capacity"),
        ({"valid": 2}, "2 valid of 1 of 1 events"),
        ({"size": 0}, "of 0 bytes"),
        ({"size": 2**31 - 1, "kind": 2}, "1 events of 2147483647 bytes"),
        ({"size": 16}, "polarity events of 8 bytes, time at 4 is expected"),
        ({"overflows": -1}, "-1 overflows"),
        ({"kind": -3}, "type -3"),
    ],
)
def test_absurd_numbers_in_aedat3(changes, text, tmp_path):
    path = tmp_path / "a.aedat"
    path.write_bytes(packet())
    assert f.read_aedat3(path).tolist() == [(0, 0, 5, False)]
    path.write_bytes(packet(**changes))
    with pytest.raises(FileFormatError, match=re.escape(text)):
        f.read_aedat3(path)


def test_absurd_numbers_in_aedat4(tmp_path):
    path = tmp_path / "a.aedat4"
    f.write_aedat4(path, sample(CASES["aedat4"], 3), sensor_size=(640, 480))
    whole = path.read_bytes()
    n_header = int.from_bytes(whole[14:18], "little")
    first = 18 + n_header  # the packet's stream, its size, then its buffer's size
    cases = {
        14: ("<I", 2**32 - 1, "the header of 4294967299 bytes"),
        14 + 4 + 28: ("<i", 9, "compression 0 (none), 1, 2 (LZ4) or 3, 4 (Zstd)"),
        14 + 4 + 32: ("<I", 2**32 - 1, "a position below"),
        14 + 4 + 36: ("<q", 2**62, f"a table of data at {first} to {len(whole)}"),
        first + 4: ("<i", -5, "a packet's size up to"),
        first + 8: ("<I", 2**32 - 1, "a size of 4294967295"),
        first + 12: ("<I", 2**32 - 1, "a position below"),
        first + 8 + 28: ("<I", 2**32 - 1, "4294967295 items of 16 bytes"),
    }
    for at, (fmt, value, text) in cases.items():
        data = bytearray(whole)
        struct.pack_into(fmt, data, at, value)
        path.write_bytes(data)
        with pytest.raises(FileFormatError, match=re.escape(text)):
            f.read_aedat4(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"% Version 2\n% Width x\n% Height 4\n\x00\x08", "a number as its width"),
        (b"% Version 3\n\x00\x08", "version 1 or 2 in the header"),
        (b"% Version 2\n\x00\x10", "type 0 and size 16"),
        (b"% Version 2\n\x0e\x08", "event type 0 or 12"),
        (b"% Version 2\n\x00", "at byte 12, the type and size of events of 2 bytes is expected"),
        (b"% Version 1\n\x00\x08" + bytes(7) + b"\x01", "an address of 18 bits"),
        (b"% " + b"a" * 70_000, "a line of text with its end"),
    ],
)
def test_headers_of_dat(text, message, tmp_path):
    (tmp_path / "a.dat").write_bytes(text)
    with pytest.raises(FileFormatError, match=message):
        f.read_dat(tmp_path / "a.dat")
