import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosim.errors import FileFormatError, NeurosimError
from neurosim.io import read_spikes_csv, read_spikes_npz
from neurosim.results import SpikeTrains

events = st.lists(st.tuples(st.floats(0, 100), st.integers(0, 9)), max_size=50)


@pytest.fixture
def spikes():
    return SpikeTrains([0.1, 0.2, 5.0], [9, 4, 9], 3, t_stop=10.0, name="exc", neuron_ids=[9, 4, 1])


@settings(max_examples=20, deadline=None)
@given(drawn=events)
def test_csv_loses_no_digit(drawn, tmp_path_factory):
    path = tmp_path_factory.mktemp("csv") / "s.csv"
    spikes = SpikeTrains([t for t, _ in drawn], [i for _, i in drawn], 10, t_stop=100.0)
    spikes.to_csv(path)
    assert read_spikes_csv(path, n=10, t_stop=100.0).equals(spikes)


def test_csv_is_plain(spikes, tmp_path):
    spikes.to_csv(tmp_path / "s.csv")
    assert (tmp_path / "s.csv").read_text() == "time_ms,neuron_id\n0.1,9\n0.2,4\n5.0,9\n"
    pandas = pytest.importorskip("pandas")
    np.testing.assert_array_equal(pandas.read_csv(tmp_path / "s.csv")["neuron_id"], spikes.ids)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the header time_ms,neuron_id is expected"),
        ("a,b\n1,2\n", "line 1"),
        ("time_ms,neuron_id\n1.0\n", "line 2: 2 fields"),
        ("time_ms,neuron_id\n1.0,2\nx,2\n", "line 3: could not convert"),
        ("time_ms,neuron_id\n1.0,99999999999999999999\n", "line 2"),
        ("time_ms,neuron_id\nnan,2\n", "not finite"),
        ("time_ms,neuron_id\n1.0,-2\n", "hold no neuron -2"),
        ("timestamps population node_ids\n1.0 a 0\n1.0 b 0\n", "populations a, b: give one"),
    ],
)
def test_csv_mistakes_have_their_line(tmp_path, text, message):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(FileFormatError, match=message) as caught:
        read_spikes_csv(tmp_path / "s.csv")
    assert str(tmp_path / "s.csv") in str(caught.value)


def test_csv_of_several_populations(tmp_path):
    text = "timestamps population node_ids\n1.0 a 0\n2.0 b 1\n"
    (tmp_path / "s.csv").write_text(text)
    np.testing.assert_array_equal(read_spikes_csv(tmp_path / "s.csv", name="b").times, [2.0])


def test_a_binary_file_is_no_csv(tmp_path):
    (tmp_path / "s.csv").write_bytes(b"\x89HDF\xff\xfe")
    with pytest.raises(FileFormatError, match="not a text file"):
        read_spikes_csv(tmp_path / "s.csv")


def test_npz_keeps_everything(spikes, tmp_path):
    spikes.to_npz(tmp_path / "spikes")  # no ".npz" is appended
    again = SpikeTrains.from_npz(tmp_path / "spikes")
    assert again.equals(spikes)
    assert again.name == "exc"


def test_npz_names_what_is_missing(tmp_path):
    np.savez(tmp_path / "s.npz", times=[1.0])
    with pytest.raises(FileFormatError, match="has no ids, neuron_ids"):
        read_spikes_npz(tmp_path / "s.npz")
    with pytest.raises(FileNotFoundError):
        read_spikes_npz(tmp_path / "none.npz")
    np.save(tmp_path / "s.npy", [1.0])
    with pytest.raises(FileFormatError):
        read_spikes_npz(tmp_path / "s.npy")


def test_npz_runs_no_pickle(tmp_path):
    good = {"times": [1.0], "ids": [0], "neuron_ids": [0], "t_start": 0.0, "t_stop": 1.0}
    np.savez(tmp_path / "s.npz", name=np.array([{}], dtype=object), **good)
    with pytest.raises(FileFormatError, match="not a readable NumPy archive"):
        read_spikes_npz(tmp_path / "s.npz")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_archives_give_our_errors_only(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("npz") / "s.npz"
    SpikeTrains([0.1, 0.2], [1, 0], 2).to_npz(path)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    for _ in range(data.draw(st.integers(0, 3))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        read_spikes_npz(path)
    except NeurosimError as error:
        assert str(path) in str(error)
