"""SHD's and N-TIDIGITS' files: lazy items, worker processes, damage; and structured arrays."""

from __future__ import annotations

import gzip
import multiprocessing
import operator
import pickle
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neurosim.datasets import formats as f
from neurosim.errors import FileFormatError, ParameterError

SETTINGS = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SPOKEN = Path(__file__).parents[3] / "shared" / "data" / "fsdd_spikes" / "fsdd_test.h5.gz"


def audio(n, seed=0):
    rng = np.random.default_rng(seed)
    return f.make_events(t=np.sort(rng.integers(0, 1_000_000, n)), x=rng.integers(0, 700, n))


@pytest.fixture
def shd(tmp_path):
    recordings = [audio(n, n) for n in (5, 0, 300)]
    f.write_shd(tmp_path / "a.h5", recordings, [1, 0, 1], classes=["no", "yes"], speakers=[4, 5, 4])
    return tmp_path / "a.h5", recordings


@SETTINGS
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 2**50), st.integers(0, 699)), max_size=9), max_size=4
    )
)
def test_round_trip_in_float64(tmp_path, drawn):
    recordings = [f.make_events(t=[t for t, _ in r], x=[x for _, x in r]) for r in drawn]
    f.write_shd(tmp_path / "a.h5", recordings, np.arange(len(drawn)), times="float64")
    with f.read_shd(tmp_path / "a.h5") as file:
        assert len(file) == len(recordings)
        assert file.labels.tolist() == list(range(len(drawn)))
        for own, back in zip(recordings, file, strict=True):
            assert back.dtype == f.AUDIO
            np.testing.assert_array_equal(own, back)


def test_items_and_attributes(shd):
    path, recordings = shd
    file = f.read_shd(path)
    assert (file.labels.tolist(), file.classes) == ([1, 0, 1], ("no", "yes"))
    assert file.speakers is not None and file.speakers.tolist() == [4, 5, 4]
    for i in (2, 0, 1, -1):
        np.testing.assert_array_equal(file[i], recordings[i])  # float32 holds the first 8 s
    np.testing.assert_array_equal(f.read_events(path, item=2), recordings[2])
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"has 3 recordings; there is no {index}"):
            file[index]
    with pytest.raises(ParameterError, match="many recordings; choose one with item="):
        f.read_events(path)


def test_float16_as_in_the_original_files(tmp_path):
    events = audio(1000)
    f.write_shd(tmp_path / "a.h5", [events], [0], times="float16")
    times = f.read_shd(tmp_path / "a.h5")[0]["t"]
    # 11 bits of mantissa: half a step is 2^-12 s between 0.5 and 1 s
    assert 0 < np.abs(times - events["t"]).max() <= 1e6 * 2**-12 + 0.5
    np.testing.assert_array_equal(
        times, np.rint((events["t"] * 1e-6).astype(np.float16).astype(float) * 1e6)
    )


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_several_processes_read_one_object(shd, method):
    path, recordings = shd
    file = f.read_shd(path)
    file[0]  # open in this process
    with multiprocessing.get_context(method).Pool(2) as pool:
        got = pool.starmap(operator.getitem, [(file, i % 3) for i in range(30)], chunksize=5)
    for i, events in enumerate(got):
        np.testing.assert_array_equal(events, recordings[i % 3])
    np.testing.assert_array_equal(file[2], recordings[2])
    file.close()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(file))[2], recordings[2])


def test_damaged_layouts(shd, tmp_path):
    path, _ = shd
    whole = path.read_bytes()

    def broken(change, match, item=None):
        path.write_bytes(whole)
        with h5py.File(path, "a") as file:
            change(file)
        with pytest.raises(FileFormatError, match=match):
            f.read_shd(path)[item or 0]

    def put(name, value, **options):
        def change(file):
            del file[name]
            file.create_dataset(name, data=value, **options)

        return change

    def item(name, i, value):
        def change(file):
            file[name][i] = value

        return change

    broken(lambda file: operator.delitem(file, "labels"), "has no data set /labels; found in /")
    broken(put("labels", [0, 1]), "its parts differ in length: .*'labels': 2")
    broken(put("labels", [0, 1, 2]), "labels are 0 to 2, but there are 2 names")
    broken(put("spikes/times", np.zeros(3)), "/spikes/times has shape")
    broken(item("spikes/times", 0, np.zeros(4, "f4")), "recording 0 has times of shape")
    broken(item("spikes/times", 0, np.full(5, np.nan)), "recording 0, spike 0: time nan s is not")
    signalling = np.array([0x7F800001] * 5, np.uint32).view(np.float32)  # NaN that warns when cast
    broken(item("spikes/times", 0, signalling), "recording 0, spike 0: time nan s is not")
    broken(item("spikes/times", 0, [0, 0, -1, 0, 0]), "spike 2: time -1.0 s is not >= 0")
    broken(item("spikes/units", 0, [0, 0, 0, 0, 700]), "spike 4: channel 700 is not one of the 700")
    path.write_bytes(whole)
    with pytest.raises(FileFormatError, match=r"spike .: channel .* of the 4 channels 0 to 3"):
        f.read_shd(path, n_channels=4)[0]


def test_truncated_files(shd, tmp_path):
    path, _ = shd
    whole = path.read_bytes()
    cut = tmp_path / "cut.h5"
    for n in range(0, len(whole), 97):
        cut.write_bytes(whole[:n])
        with pytest.raises(
            FileFormatError, match=r"cut\.h5 cannot be read as a file of the layout"
        ):
            f.read_shd(cut)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        f.read_shd(path)


def test_writing_shd_refuses(tmp_path):
    def refused(match, recordings=None, labels=(0,), **options):
        with pytest.raises(ParameterError, match=match):
            f.write_shd(tmp_path / "a", recordings or [audio(3)], list(labels), **options)

    refused("one whole number for each of the 1 recordings", labels=(0, 1))
    refused("one whole number", labels=(0.5,))
    refused("labels are 2 to 2, but there are 1 classes", labels=(2,), classes=["a"])
    refused("float16, float32 or float64", times="int32")
    refused("channels 700 to 700; 0 to 699", [f.make_events(t=[0], x=[700])])
    refused("times -1 to -1 us", [f.make_events(t=[-1], x=[0])])
    refused("float16 seconds", [f.make_events(t=[10**12], x=[0])], times="float16")
    refused("has a field y", [f.make_events(t=[0], x=[0], y=[0], p=[0])])
    refused("1 to 32768 channels", n_channels=0)


def ntidigits(path, keys, times, channels):
    with h5py.File(path, "w") as file:
        for part in ("train", "test"):
            file[f"{part}_labels"] = [key.encode() for key in keys]
            for key, t, x in zip(keys, times, channels, strict=True):
                file[f"{part}_timestamps/{key}"] = t
                file[f"{part}_addresses/{key}"] = x
    return path


def test_ntidigits(tmp_path):
    path = ntidigits(
        tmp_path / "n.hdf5",
        ["man-im-a-7557", "woman-ab-b-z"],
        [np.array([0.25, 0.5]), np.array([1e-6])],
        [np.array([3, 63]), np.array([7.0])],
    )
    for part in ("train", "test"):
        file = f.read_ntidigits(path, part)
        assert (file.digits, file.speakers) == (("7557", "z"), ("im", "ab"))
        assert file[0].tolist() == [(250_000, 3, 1), (500_000, 63, 1)]
        assert file[-1].tolist() == [(1, 7, 1)]
    assert f.event_format(path) == "ntidigits"
    assert f.read_events(path, item=1).tolist() == [(1, 7, 1)]
    with pytest.raises(ParameterError, match="'train' or 'test' is expected"):
        f.read_ntidigits(path, "valid")


@pytest.mark.parametrize(
    ("key", "times", "channels", "match"),
    [
        ("man-im-7557", [0.1], [1], r"train_labels\[0\] is 'man-im-7557'; a key such as"),
        ("man-im-a-7x", [0.1], [1], "digits 1-9, z, o"),
        ("man-im-a-7", [0.1], [64], "channel 64 is not one of the 64 channels"),
        ("man-im-a-7", [0.1], [1.5], "has channel 1.5"),
        ("man-im-a-7", [0.1, 0.2], [1], "has times of shape"),
        ("man-im-a-7", [-0.1], [1], "time -0.1 s is not >= 0"),
        ("man-im-a-7", ["a"], [1], "one|dtype"),
    ],
)
def test_damaged_ntidigits(key, times, channels, match, tmp_path):
    path = ntidigits(tmp_path / "n.hdf5", [key], [times], [channels])
    with pytest.raises(FileFormatError, match=match):
        f.read_ntidigits(path)[0]


def test_other_hdf5_files_are_told(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = [1]
    with pytest.raises(
        FileFormatError, match="of neither SHD's nor N-TIDIGITS' layout; it has data"
    ):
        f.read_events(tmp_path / "a.h5", item=0)


def test_real_spoken_digits(tmp_path):
    if not SPOKEN.exists():
        pytest.skip("the cochlea spikes of spoken digits are not there")
    with gzip.open(SPOKEN) as packed, (tmp_path / "a.h5").open("wb") as file:
        shutil.copyfileobj(packed, file)
    spoken = f.read_shd(tmp_path / "a.h5")
    lengths = [len(events) for events in spoken]
    assert (len(lengths), sum(lengths), min(lengths), max(lengths)) == (
        300,
        1_688_415,
        2616,
        10_591,
    )
    assert np.bincount(spoken.labels).tolist() == [30] * 10


@given(
    st.permutations(["x", "y", "t", "p"]),
    hnp.arrays(np.int16, st.tuples(st.just(4), st.integers(0, 9)), elements=st.integers(0, 99)),
    st.sampled_from([np.int64, np.float64, np.uint16]),
)
def test_structured_arrays_of_any_order(order, columns, dtype):
    other = np.empty(columns.shape[1], [(name, dtype) for name in order])
    for name, values in zip("xytp", columns, strict=True):
        other[name] = values > 50 if name == "p" else values
    events = f.from_structured(other)
    assert events.dtype == f.VISION
    assert f.from_structured(events) is events
    for name in "xytp":
        np.testing.assert_array_equal(events[name], other[name])
    back = f.to_structured(events, order)
    assert back.dtype.names == tuple(order)
    assert all(np.array_equal(back[name], other[name]) for name in order)


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros(3), "a structured array with fields x, y, t, p is expected"),
        ([1, 2], "not list"),
        (np.zeros(2, [("x", int), ("y", int), ("t", int)]), "field 'p' is missing; the fields are"),
        (np.zeros(2, [("t", int)]), "field 'x' is missing"),
        (np.array([(0.5, 1)], [("t", float), ("x", int)]), "t = 0.5 is not a whole number"),
        (np.array([(np.nan, 1)], [("t", float), ("x", int)]), "t = nan is not a whole number"),
        (np.array([(2.0**63, 1)], [("t", float), ("x", int)]), "does not fit int64"),
        (np.array([(1, 40_000)], [("t", int), ("x", int)]), "x = 40000 does not fit int16"),
        (np.zeros((2, 2), f.VISION), "one dimension"),
    ],
)
def test_what_is_no_array_of_events(array, match):
    with pytest.raises(ParameterError, match=match):
        f.from_structured(array)


def test_orderings_name_each_field_once():
    events = audio(2)
    for ordering in ("xx", "xy", ""):
        with pytest.raises(ParameterError, match="must name each field once"):
            f.to_structured(events, ordering)
    with pytest.raises(ParameterError, match="need polarities p"):
        f.make_events(t=[1], x=[1], y=[1])
    with pytest.raises(ParameterError, match="the same length"):
        f.make_events(t=[1], x=[1, 2])
