"""Layouts of addresses, validity, streams and compression of the AEDAT formats."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from formats_cases import CASES, sample

from neurosim.datasets import formats as f
from neurosim.datasets.formats import _compression
from neurosim.errors import FileFormatError, MissingPackageError, ParameterError


def aedat2(path, addresses, *lines):
    text = "".join(f"#{line}\r\n" for line in ("!AER-DAT2.0", *lines))
    body = b"".join(struct.pack(">II", address, 10 + i) for i, address in enumerate(addresses))
    path.write_bytes(text.encode() + body)
    return path


def test_addresses_of_the_dvs128(tmp_path):
    # polarity bit 0, x 1-7, y 8-14, external event 15; without AEChip as in CIFAR10-DVS
    path = aedat2(tmp_path / "a", [1 | 100 << 1 | 90 << 8, 0x8000, 127 << 8], " made by hand")
    assert f.read_aedat2(path).tolist() == [(100, 90, 10, True), (0, 127, 12, False)]


def test_addresses_of_the_davis(tmp_path):
    # polarity bit 11, x 12-21, y 22-30; bit 31: frames and IMU, bit 10: external events
    event = 1 << 11 | 345 << 12 | 259 << 22
    path = aedat2(tmp_path / "a", [event, event | 1 << 31, 1 << 10], " AEChip: a.davis.Davis346red")
    assert f.read_aedat2(path).tolist() == [(345, 259, 10, True)]
    with pytest.raises(FileFormatError, match="346 x 260 sensor is expected, but there is x = 346"):
        f.read_aedat2(aedat2(path, [event + (1 << 12)], " AEChip: a.davis.Davis346red"))
    with pytest.raises(FileFormatError, match="is camera='davis' right"):
        f.read_aedat2(aedat2(path, [event]))
    assert len(f.read_aedat2(path, camera="davis")) == 1
    with pytest.raises(FileFormatError, match="DVS128 or DAVIS as AEChip"):
        f.read_aedat2(aedat2(path, [event], " AEChip: DVXplorer"))


def test_events_that_look_like_header_lines(tmp_path):
    # y = 140..143 gives a first byte of "#": a line with control characters is no header
    event = 0x23 << 24 | 5 << 12
    path = aedat2(tmp_path / "a", [event, event | 0x0A], " AEChip: Davis346")
    assert len(f.read_aedat2(path)) == 2


def test_times_go_on_over_the_signed_range(tmp_path):
    path = aedat2(tmp_path / "a", [])
    times = [2**31 - 1, 2**31, 2**32 - 1, 0]
    path.write_bytes(path.read_bytes() + b"".join(struct.pack(">II", 0, t) for t in times))
    assert f.read_aedat2(path)["t"].tolist() == [2**31 - 1, 2**31, 2**32 - 1, 2**32]


def test_packets_of_aedat3(tmp_path):
    def packet(kind, events, overflows=0, size=8):
        n = len(events) * 8 // size
        head = struct.pack("<hhiiiiii", kind, 1, size, 4, overflows, n, n, n)
        return head + b"".join(struct.pack("<Ii", *event) for event in events)

    valid, invalid = 1 | 1 << 1 | 7 << 2 | 9 << 17, 7 << 2 | 9 << 17
    path = tmp_path / "a"
    path.write_bytes(
        b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"
        + packet(1, [(valid, 3), (invalid, 4), (1, 5)])
        + packet(2, [(0, 0), (0, 0)], size=16)  # frames: skipped
        + packet(1, [])
        + packet(1, [(valid, 6)], overflows=2)
    )
    late = 2 * 2**31 + 6
    assert f.read_aedat3(path).tolist() == [(9, 7, 3, True), (0, 0, 5, False), (9, 7, late, True)]
    # the header's camera limits the coordinates
    path.write_bytes(path.read_bytes() + packet(1, [(1 | 128 << 17, 3)]))
    with pytest.raises(FileFormatError, match="128 x 128 sensor is expected, but there is x = 128"):
        f.read_aedat3(path)
    path.write_bytes(path.read_bytes()[:-8] + struct.pack("<Ii", 1, -3))
    with pytest.raises(FileFormatError, match="a time >= 0 is expected, but there is -3 us"):
        f.read_aedat3(path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"#!AER-DAT3.1\r\n#Format: RAW\r\n", "the line #!END-HEADER is expected"),
        (b"#!AER-DAT3.1\r\n#Format: Serial-TS\r\n#!END-HEADER\r\n", "the format RAW"),
        (b"#!AER-DAT3.0\r\n#!END-HEADER\r\n", "the line #!AER-DAT3.1 is expected"),
    ],
)
def test_headers_of_aedat3(header, message, tmp_path):
    (tmp_path / "a").write_bytes(header)
    with pytest.raises(FileFormatError, match=message):
        f.read_aedat3(tmp_path / "a")


PACKAGES = {"lz4": "lz4.frame", "lz4_high": "lz4.frame", "zstd": "zstandard",
            "zstd_high": "zstandard"}  # fmt: skip


@pytest.mark.parametrize("compression", PACKAGES)
def test_compressed_packets(compression, tmp_path):
    pytest.importorskip(PACKAGES[compression], reason="compressed AEDAT 4 needs it")
    events = sample(CASES["aedat4"], 20_000)
    path = tmp_path / "a.aedat4"
    f.write_aedat4(path, events, sensor_size=(640, 480), compression=compression)
    assert path.stat().st_size < 16 * len(events)
    np.testing.assert_array_equal(f.read_aedat4(path), events)


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_damaged_compressed_packets(compression, tmp_path):
    pytest.importorskip(PACKAGES[compression], reason="compressed AEDAT 4 needs it")
    events = sample(CASES["aedat4"], 200)
    path = tmp_path / "a.aedat4"
    f.write_aedat4(path, events, sensor_size=(640, 480), compression=compression)
    whole = path.read_bytes()
    first = 18 + int.from_bytes(whole[14:18], "little") + 8  # byte of the packet
    n_errors = 0
    for at in range(first, len(whole), 7):
        data = bytearray(whole)
        data[at] ^= 0x55
        path.write_bytes(data)
        try:
            events = f.read_aedat4(path)
        except FileFormatError as error:
            n_errors += 1
            assert f"at byte {first}" in str(error)
        else:
            assert (events["t"] >= 0).all()
    assert n_errors > 3
    # a frame that ends early, whatever the size in the packet's header says
    for cut in (1, 5, len(whole) - first - 1):
        data = bytearray(whole[:-cut])
        struct.pack_into("<i", data, first - 4, len(data) - first)
        path.write_bytes(data)
        with pytest.raises(FileFormatError, match=f"at byte {first}, .* of {compression} is exp"):
            f.read_aedat4(path)


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_packets_do_not_unfold_without_bound(compression, tmp_path):
    pytest.importorskip(PACKAGES[compression], reason="compressed AEDAT 4 needs it")
    path = tmp_path / "a.aedat4"
    f.write_aedat4(path, sample(CASES["aedat4"], 0), sensor_size=(9, 9), compression=compression)
    bomb = _compression.compress(struct.pack("<I", 100) + bytes(50_000_000), compression)
    path.write_bytes(path.read_bytes() + struct.pack("<ii", 0, len(bomb)) + bomb)
    with pytest.raises(FileFormatError, match="a packet that unfolds to 104 bytes"):
        f.read_aedat4(path)


def test_the_package_for_compression_is_named(tmp_path, monkeypatch):
    import sys

    events = sample(CASES["aedat4"], 1)
    for name, compression in (("lz4.frame", "lz4"), ("zstandard", "zstd")):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(MissingPackageError, match=rf"{name}.*neurosim\[events\]"):
            f.write_aedat4(tmp_path / "a", events, sensor_size=(640, 480), compression=compression)


def test_streams_of_aedat4(tmp_path):
    path = tmp_path / "a.aedat4"
    f.write_aedat4(path, sample(CASES["aedat4"], 5), sensor_size=(640, 480))
    whole = path.read_bytes()
    with pytest.raises(ParameterError, match=r"stream = 3, but .* has the streams of events 0"):
        f.read_aedat4(path, stream=3)
    assert len(f.read_aedat4(path, stream=0)) == 5
    path.write_bytes(whole.replace(b">EVTS<", b">FRME<"))
    with pytest.raises(FileFormatError, match=r"a stream of events \(EVTS\)"):
        f.read_aedat4(path)
    path.write_bytes(whole.replace(b"<attr", b"<aatr", 1))
    with pytest.raises(FileFormatError, match="streams in XML is expected, but there is a mistake"):
        f.read_aedat4(path)
    # a packet of another stream is skipped unread
    path.write_bytes(whole + struct.pack("<ii", 9, 4) + b"none")
    assert len(f.read_aedat4(path)) == 5


def test_packets_end_where_the_table_of_packets_begins(tmp_path):
    path = tmp_path / "a.aedat4"
    f.write_aedat4(path, sample(CASES["aedat4"], 5), sensor_size=(640, 480))
    data = bytearray(path.read_bytes())
    first = 18 + int.from_bytes(data[14:18], "little")
    struct.pack_into("<q", data, 18 + 36, len(data))  # the table's position in the header
    path.write_bytes(data + b"table")
    assert len(f.read_aedat4(path)) == 5
    size = len(data) - first - 8
    struct.pack_into("<i", data, first + 4, size + 1)
    path.write_bytes(data + b"table")
    message = (
        f"at byte {first + 4}, a packet's size up to {size} is expected, but there is {size + 1}"
    )
    with pytest.raises(FileFormatError, match=message):
        f.read_aedat4(path)
