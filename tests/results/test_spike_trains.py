import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosim.errors import ParameterError
from neurosim.results import SpikeTrains

events = st.lists(st.tuples(st.floats(0, 100), st.integers(0, 9)), max_size=50)


@pytest.fixture
def spikes():
    return SpikeTrains([3.0, 1.0, 2.0, 3.0], [2, 0, 1, 0], 4, t_stop=10.0, name="exc")


def test_spikes_are_sorted_by_time_then_id(spikes):
    np.testing.assert_array_equal(spikes.times, [1, 2, 3, 3])
    np.testing.assert_array_equal(spikes.ids, [0, 1, 0, 2])
    assert spikes.times.dtype == np.float64
    assert spikes.ids.dtype == np.int64
    assert len(spikes) == 4
    assert spikes.duration == 10.0


def test_the_arrays_are_read_only_and_the_callers_are_not():
    times = np.array([1.0, 2.0])
    spikes = SpikeTrains(times, [0, 0], 1)
    with pytest.raises(ValueError, match="read-only"):
        spikes.times[0] = 5.0
    times[0] = 0.5


def test_indexing(spikes):
    np.testing.assert_array_equal(spikes[0], [1, 3])
    np.testing.assert_array_equal(spikes.of(3), [])
    assert spikes[[2, 0]].n == 2
    np.testing.assert_array_equal(spikes[1:3].neuron_ids, [1, 2])


def test_a_selection_keeps_ids_and_order(spikes):
    part = spikes.select([2, 0])
    np.testing.assert_array_equal(part.ids, [0, 0, 2])
    np.testing.assert_array_equal(part.rates(), [100.0, 200.0])
    np.testing.assert_array_equal(part.of(2), [3])
    with pytest.raises(ParameterError, match="no neuron 1: ids 2, 0 were recorded"):
        part.of(1)


def test_by_neuron(spikes):
    times, start = spikes.by_neuron()
    np.testing.assert_array_equal(times, [1, 3, 2, 3])
    np.testing.assert_array_equal(start, [0, 2, 3, 4, 4])


def test_windows_that_share_an_end_share_no_spike(spikes):
    first, second = spikes.window(0.0, 2.0), spikes.window(2.0, 10.0)
    np.testing.assert_array_equal(first.times, [1, 2])
    np.testing.assert_array_equal(second.times, [3, 3])
    assert (second.t_start, second.t_stop, second.n) == (2.0, 10.0, 4)
    with pytest.raises(ParameterError, match="not inside"):
        spikes.window(5.0, 11.0)


def test_the_spike_at_the_beginning_stays_in_the_first_window():
    spikes = SpikeTrains([0.0, 1.0], [0, 0], 1, t_stop=2.0)
    assert len(spikes.window(0.0, 1.0)) == 2


@settings(max_examples=50, deadline=None)
@given(events, st.floats(0, 100, exclude_min=True))
def test_windows_partition_the_spikes(drawn, middle):
    spikes = SpikeTrains([t for t, _ in drawn], [i for _, i in drawn], 10, t_stop=100.0)
    parts = [spikes.window(0.0, middle), spikes.window(middle, 100.0)]
    joined = SpikeTrains(
        np.concatenate([p.times for p in parts]),
        np.concatenate([p.ids for p in parts]),
        10,
        t_stop=100.0,
    )
    assert joined.equals(spikes)


@settings(max_examples=50, deadline=None)
@given(events, st.integers(1, 7))
def test_blocks_are_the_spikes(drawn, size):
    spikes = SpikeTrains([t for t, _ in drawn], [i for _, i in drawn], 10, t_stop=100.0)
    times = [t for block, _ in spikes.blocks(size) for t in block]
    np.testing.assert_array_equal(times, spikes.times)


def test_from_lists():
    spikes = SpikeTrains.from_lists([[5.0, 1.0], [], [3.0]], t_stop=10.0)
    assert spikes.n == 3
    np.testing.assert_array_equal(spikes.ids, [0, 2, 0])
    assert SpikeTrains.from_lists([]).n == 0


def test_equals(spikes):
    assert spikes.equals(SpikeTrains(spikes.times, spikes.ids, 4, t_stop=10.0))
    assert not spikes.equals(SpikeTrains(spikes.times, spikes.ids, 5, t_stop=10.0))
    assert not spikes.equals(SpikeTrains(spikes.times, spikes.ids, 4, t_stop=11.0))
    assert not spikes.equals(spikes.window(0.0, 3.0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"times": [1.0], "ids": [0, 1], "n": 2}, "1 times and 2 ids"),
        ({"times": [np.nan], "ids": [0], "n": 1}, "not finite"),
        ({"times": [[1.0]], "ids": [[0]], "n": 1}, "one dimension"),
        ({"times": [1.0], "ids": [1], "n": 1}, "hold no neuron 1: ids 0 to 0 were recorded"),
        ({"times": [1.0], "ids": [-1], "n": 1}, "hold no neuron -1"),
        ({"times": [1.0], "ids": [0.5], "n": 1}, "whole numbers"),
        ({"times": [11.0], "ids": [0], "n": 1, "t_stop": 10.0}, "a spike at 11.0 ms lies outside"),
        ({"times": [1.0], "ids": [0], "n": 1, "t_start": 2.0, "t_stop": 10.0}, "a spike at 1.0 ms"),
        ({"times": [], "ids": [], "n": -1}, "n = -1 neurons"),
        ({"times": [], "ids": [], "n": 1, "t_stop": np.inf}, "not finite and ordered"),
        ({"times": [], "ids": [], "n": 2, "neuron_ids": [3, 3]}, "2 different ids"),
        ({"times": [3.0], "ids": [4], "n": 1, "neuron_ids": [3]}, "hold no neuron 4: ids 3"),
        ({"times": [3.0], "ids": [0], "n": 0}, "hold no neuron 0: none"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ParameterError, match=message):
        SpikeTrains(**arguments)


def test_to_numpy(spikes):
    table = spikes.to_numpy()
    assert table.dtype.names == ("time", "id")
    np.testing.assert_array_equal(table["time"], spikes.times)


def test_to_pandas(spikes):
    pytest.importorskip("pandas")
    frame = spikes.to_pandas()
    assert list(frame.columns) == ["time", "neuron", "population"]
    np.testing.assert_array_equal(frame["neuron"], spikes.ids)
    assert (frame["population"] == "exc").all()


def test_representations(spikes):
    assert repr(spikes) == "SpikeTrains('exc': 4 spikes of 4 neurons, 0 to 10 ms)"
    shown = SpikeTrains([1.0], [0], 1, name="<b>")._repr_html_()
    assert "&lt;b&gt;" in shown
    assert SpikeTrains([], [], 0)._repr_html_()
