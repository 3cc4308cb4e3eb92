"""What the vision formats' writers write is read back, and real files give what is known."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from formats_cases import CASES, recordings, sample
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurosim.datasets import formats as f
from neurosim.datasets.formats._source import Clock
from neurosim.errors import FileFormatError, ParameterError, UnknownNameError

EVENTS = Path(__file__).parents[3] / "shared" / "data" / "events"
SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def real(name: str) -> Path:
    path = EVENTS / name
    if not path.exists():
        pytest.skip(f"the sample {name} is not there")
    return path


@pytest.mark.parametrize("name", CASES)
def test_round_trip(name, tmp_path):
    case = CASES[name]

    @SETTINGS
    @given(recordings(case))
    def check(events):
        case.write(tmp_path / "a", events)
        back = case.read(tmp_path / "a")
        assert back.dtype == f.VISION
        np.testing.assert_array_equal(back, events)

    check()


@pytest.mark.parametrize("name", CASES)
def test_many_blocks_and_little_memory(name, tmp_path):
    # several blocks, so that what is carried from one to the next is tested; memory: the result,
    # a quarter more where the number of events is not known, and blocks of 65536 events
    case = CASES[name]
    events = sample(case, 800_000, span=8_000_000)
    case.write(tmp_path / "a", events)
    case.read(tmp_path / "a")  # compiled and imported
    tracemalloc.start()
    back = case.read(tmp_path / "a")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(back, events)
    assert peak < back.nbytes * (1.3 if name == "aedat4" else 1.0) + 8e6


@pytest.mark.parametrize("name", CASES)
def test_dispatch_by_content(name, tmp_path):
    case = CASES[name]
    events = sample(case, 20)
    path = tmp_path / f"a{case.suffix}"
    case.write(path, events)
    assert name.startswith(f.event_format(path))
    np.testing.assert_array_equal(f.read_events(path), events)
    with pytest.raises(ParameterError, match="holds one recording; item = 0 has no use"):
        f.read_events(path, item=0)
    with pytest.raises(FileFormatError, match="a pixel of the 2 x 2 sensor"):
        f.read_events(path, sensor_size=(2, 2))


@pytest.mark.parametrize("name", CASES)
def test_writers_refuse_what_a_format_cannot_hold(name, tmp_path):
    case = CASES[name]
    width, height = case.size
    for x, y in ((width, 0), (0, height), (-1, 0)):
        events = f.make_events(t=[0, 1], x=[0, x], y=[0, y], p=[1, 1])
        with pytest.raises(ParameterError, match=f"event 1 of .*x = {x}, y = {y}, but a pixel of"):
            case.write(tmp_path / "a", events)
    with pytest.raises(ParameterError, match="times >= 0, but one is -1 us"):
        case.write(tmp_path / "a", f.make_events(t=[-1], x=[0], y=[0], p=[1]))
    with pytest.raises(ParameterError, match="vision events"):
        case.write(tmp_path / "a", f.make_events(t=[1], x=[0]))
    if case.ordered:
        late = f.make_events(t=[1 << 34, 0], x=[0, 0], y=[0, 0], p=[1, 1])
        with pytest.raises(ParameterError, match=r"order of time|modulo 2\^"):
            case.write(tmp_path / "a", late)


# The first five events of image 3 (label 1) of N-MNIST's training set (Orchard et al. 2015,
# Front. Neurosci. 9:437; CC BY-SA 4.0).
NMNIST = "180a800069 0d0c8017e3 010d001805 041a80189c 1409001bb5"
NMNIST_EVENTS = [
    (24, 10, 105, True),
    (13, 12, 6115, True),
    (1, 13, 6149, False),
    (4, 26, 6300, True),
    (20, 9, 7093, False),
]


def test_nmnist_bytes(tmp_path):
    (tmp_path / "a.bin").write_bytes(bytes.fromhex(NMNIST))
    assert f.read_nmnist(tmp_path / "a.bin").tolist() == NMNIST_EVENTS


def test_nmnist_overflow_marks_move_later_times(tmp_path):
    # x, y, polarity and 23 bits of time, big-endian; y = 240 adds 2^13 us to what follows
    rows = [(1, 2, 0x80, 0, 5), (0, 240, 0, 0, 9), (0, 240, 0, 0, 9), (3, 4, 0x01, 0x02, 0x03)]
    (tmp_path / "a.bin").write_bytes(b"".join(map(bytes, rows)))
    late = 0x010203 + 2 * 8192
    assert f.read_nmnist(tmp_path / "a.bin").tolist() == [(1, 2, 5, True), (3, 4, late, False)]


def test_dat_bytes_by_version(tmp_path):
    # version 2: x 14 bits, y 14, polarity 4; version 1: x 9, y 8, polarity 1
    head = "% Data file containing CD events\n% Version {}\n% Width 640\n% Height 240\n"
    for version, address in ((2, 300 | 200 << 14 | 1 << 28), (1, 300 | 200 << 9 | 1 << 17)):
        body = b"\x00\x08" + struct.pack("<II", 77, address)
        (tmp_path / "a.dat").write_bytes(head.format(version).encode() + body)
        assert f.read_dat(tmp_path / "a.dat").tolist() == [(300, 200, 77, True)]


def test_dat_without_header_is_version_1(tmp_path):
    (tmp_path / "a.dat").write_bytes(struct.pack("<II", 77, 300 | 200 << 9))
    assert f.read_dat(tmp_path / "a.dat").tolist() == [(300, 200, 77, False)]


def test_late_events_around_the_clocks_turn(tmp_path):
    # 32 bits: the third event belongs before the turn, the rest after it
    raw = [2**32 - 3, 1, 2**32 - 2, 4, 5]
    body = b"".join(struct.pack("<II", t, 0) for t in raw)
    (tmp_path / "a.dat").write_bytes(b"% Version 2\n\x0c\x08" + body)
    turn = 2**32
    assert f.read_dat(tmp_path / "a.dat")["t"].tolist() == [
        turn - 3, turn + 1, turn - 2, turn + 4, turn + 5
    ]  # fmt: skip


def test_a_long_pause_in_the_first_turn_is_a_pause(tmp_path):
    body = b"".join(struct.pack("<II", t, 0) for t in (0, 2**32 - 1, 10))
    (tmp_path / "a.dat").write_bytes(b"% Version 2\n\x0c\x08" + body)
    assert f.read_dat(tmp_path / "a.dat")["t"].tolist() == [0, 2**32 - 1, 2**32 + 10]


@given(st.lists(st.integers(0, 15), max_size=30), st.lists(st.integers(1, 29), max_size=4))
def test_clocks_do_not_depend_on_blocks(raw, cuts):
    whole = Clock(4).unfold(np.array(raw, np.uint8))
    clock = Clock(4)
    parts = [clock.unfold(part) for part in np.split(np.array(raw, np.uint8), sorted(cuts))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(whole % 16, raw)
    assert (whole >= 0).all()


def test_evt2_words(tmp_path):
    words = [
        0x10000000 | 3 << 22 | 5 << 11 | 6,  # before the time is known: left out
        0x80000001,
        0x10000000 | 3 << 22 | 5 << 11 | 6,
        0xA0000000,  # a trigger
        0x8FFFFFFF,
        0x80000000,  # the high part's turn
        0x00000000 | 1 << 22 | 639 << 11 | 479,
    ]
    body = np.array(words, "<u4").tobytes()
    (tmp_path / "a.raw").write_bytes(b"% evt 2.0\n% geometry 640x480\n% end\n" + body)
    expected = [(5, 6, 64 + 3, True), (639, 479, 2**34 + 1, False)]
    assert f.read_evt2(tmp_path / "a.raw").tolist() == expected


def test_raw_header_of_another_encoding(tmp_path):
    (tmp_path / "a.raw").write_bytes(b"% format EVT3;height=720;width=1280\n% end\n")
    with pytest.raises(FileFormatError, match=r"its header states EVT 3.0. Use read_evt3"):
        f.read_evt2(tmp_path / "a.raw")
    (tmp_path / "a.raw").write_bytes(b"% evt 2.1\n% end\n")
    with pytest.raises(FileFormatError, match="in no known format"):
        f.event_format(tmp_path / "a.raw")


def test_unknown_words_are_errors(tmp_path):
    (tmp_path / "a.raw").write_bytes(b"% evt 2.0\n% end\n" + b"\0\0\0\x80" + b"\0\0\0\x50")
    with pytest.raises(FileFormatError, match="at byte 20, a word of type 0, 1, 8, A, E or F is"):
        f.read_evt2(tmp_path / "a.raw")


def test_small_n_mnist_archive_equals_the_raw_files():
    archive = np.load(real("nmnist_small/nmnist_small.npz"))
    for path in sorted(real("nmnist_small/raw").glob("*.bin")):
        k = int(np.flatnonzero(archive["mnist_index"] == int(path.stem))[0])
        part = slice(*archive["offsets"][k : k + 2])
        events = f.read_nmnist(path)
        for field in "xytp":
            np.testing.assert_array_equal(events[field], archive[field][part])


def test_real_samples():
    assert len(f.read_events(real("samples/sample_nmnist.bin"))) == 4325
    cars = f.read_events(real("samples/sample_ncars.dat"))
    assert (len(cars), cars["t"].min(), cars["t"].max()) == (2009, 0, 99952)
    assert (cars["x"].max(), cars["y"].max()) == (77, 41)
    assert len(f.read_events(real("samples/sample_aedat_header.aedat"))) == 0
    with pytest.raises(
        FileFormatError, match=r"sample_stmnist\.mat is in no known format of events"
    ):
        f.read_events(real("samples/sample_stmnist.mat"))


def test_real_aedat4():
    pytest.importorskip("lz4.frame", reason="compressed AEDAT 4 needs lz4")
    events = f.read_events(real("samples/sample.aedat4"))
    assert len(events) == 111_954
    assert (events["x"].max(), events["y"].max()) == (319, 239)
    assert np.ptp(events["t"]) == 589_917
    assert (np.diff(events["t"]) >= 0).all()


def test_errors_of_use(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        f.read_events(tmp_path / "none.bin")
    with pytest.raises(FileNotFoundError, match="that is a folder; give one of its files"):
        f.read_events(tmp_path)
    (tmp_path / "a.bin").write_bytes(b"")
    assert len(f.read_nmnist(tmp_path / "a.bin")) == 0
    for size in ((34,), (0, 34), (34, 1 << 16), ("a", 3)):
        with pytest.raises(ParameterError, match="sensor_size"):
            f.read_nmnist(tmp_path / "a.bin", sensor_size=size)
    with pytest.raises(UnknownNameError, match="Did you mean 'davis'"):
        f.read_aedat2(tmp_path / "a.bin", camera="davi")
    with pytest.raises(UnknownNameError, match="Compressions: none, lz4"):
        f.write_aedat4(tmp_path / "a", sample(CASES["aedat4"], 1), sensor_size=(640, 480),
                       compression="zip")  # fmt: skip
    with pytest.raises(ParameterError, match="1 or 2 is expected"):
        f.write_dat(tmp_path / "a", sample(CASES["dat2"], 1), version=3)


@given(st.binary(max_size=60), st.sampled_from([2, 3]))
@SETTINGS
def test_a_file_of_another_format_is_told(tmp_path, body, which):
    path = tmp_path / "a"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    readers = {2: (f.read_aedat2, f.read_aedat3), 3: (f.read_aedat4, f.read_shd)}
    for read in readers[which]:
        with pytest.raises(FileFormatError, match=r"a is damaged or not|cannot be read as"):
            read(path)
