import subprocess
import sys

import numpy as np
import pytest

from neurosim.errors import ParameterError, UnknownNameError
from neurosim.results import Results, SpikeTrains, Traces, WeightTraces


@pytest.fixture
def traces():
    values = {"V_m": np.arange(6.0).reshape(3, 2), "w": np.zeros((3, 2))}
    return Traces(values, [0.1, 0.2, 0.3], [4, 7], {"V_m": "mV", "w": "pA"}, name="exc")


@pytest.fixture
def weights():
    return WeightTraces(
        [0, 0, 1],
        [1, 2, 0],
        [1.0, 2.0, 3.0],
        [1.5, 1.5, 1.5],
        times=[10.0, 20.0],
        values=[[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]],
        name="ee",
    )


@pytest.fixture
def results(traces, weights):
    return Results(
        {"exc": SpikeTrains([1.0], [0], 2, t_stop=10.0, name="exc")},
        {"exc": traces},
        {"ee": weights},
        metadata={"seed": 42, "dt": 0.1},
        counters={"steps": 100},
    )


def test_results_are_found_by_name(results):
    assert list(results.spikes) == ["exc"]
    assert len(results.traces) == 1
    assert "inh" not in results.spikes
    assert results.spikes.get("inh") is None
    assert results.metadata["seed"] == 42


def test_a_wrong_name_lists_the_valid_ones(results):
    with pytest.raises(UnknownNameError, match=r"Spike recordings: exc. Did you mean 'exc'"):
        results.spikes["ex"]
    with pytest.raises(KeyError, match="Weight recordings: ee"):
        results.weights["exc"]
    with pytest.raises(UnknownNameError, match="It has no state recordings"):
        Results().traces["exc"]


def test_representations(results):
    assert repr(results) == "Results(1 spikes of 'exc'; traces of 'exc'; weights of 'ee')"
    assert repr(Results()) == "Results(nothing was recorded)"
    shown = results._repr_html_()
    for word in ("exc", "V_m", "mV", "ee", "seed", "42", "steps"):
        assert word in shown


class TestTraces:
    def test_values_are_time_first(self, traces):
        assert traces["V_m"].shape == (3, 2)
        np.testing.assert_array_equal(traces.of(7)["V_m"], [1, 3, 5])
        assert traces.states == ["V_m", "w"]
        assert traces.interval == pytest.approx(0.1)

    def test_unknown_names(self, traces):
        with pytest.raises(UnknownNameError, match=r"States: V_m, w. Did you mean 'V_m'"):
            traces["v_m"]
        with pytest.raises(ParameterError, match="no neuron 5: 4, 7 were recorded"):
            traces.of(5)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"values": {"V_m": [[1.0]]}}, r"shape \(1, 1\)"),
            ({"units": {}}, "units has no entry"),
            ({"t": [0.2, 0.1]}, "not ascending"),
        ],
    )
    def test_bad_input_is_named(self, change, message):
        good = {
            "values": {"V_m": [[1.0], [2.0]]},
            "t": [0.1, 0.2],
            "ids": [0],
            "units": {"V_m": "mV"},
        }
        with pytest.raises(ParameterError, match=message):
            Traces(**(good | change))

    def test_to_pandas(self, traces):
        pytest.importorskip("pandas")
        frame = traces.to_pandas()
        assert list(frame.columns) == ["time", "neuron", "population", "V_m", "w"]
        one = frame[frame["neuron"] == 7]
        np.testing.assert_array_equal(one["V_m"], [1, 3, 5])

    def test_to_xarray(self, traces):
        pytest.importorskip("xarray", reason="xarray is an optional package")
        dataset = traces.to_xarray()
        assert dataset["V_m"].dims == ("time", "neuron")
        assert dataset["V_m"].attrs["units"] == "mV"
        np.testing.assert_array_equal(dataset["V_m"].sel(neuron=4), [0, 2, 4])


class TestWeights:
    def test_content(self, weights):
        assert len(weights) == 3
        assert weights.values.shape == (2, 3)
        matrix = weights.to_scipy(shape=(2, 3)).toarray()
        np.testing.assert_array_equal(matrix, [[0, 1, 2], [3, 0, 0]])

    def test_to_pandas(self, weights):
        pytest.importorskip("pandas")
        assert list(weights.to_pandas().columns) == ["pre", "post", "weight", "delay"]

    def test_to_npz(self, weights, tmp_path):
        weights.to_npz(tmp_path / "w.npz")
        with np.load(tmp_path / "w.npz") as stored:
            again = WeightTraces(**{key: stored[key] for key in stored})
        np.testing.assert_array_equal(again.values, weights.values)
        assert again.name == "ee"

    def test_bad_shapes_are_named(self):
        with pytest.raises(ParameterError, match="2 pre but 1 post"):
            WeightTraces([0, 1], [0], [1.0, 1.0], [1.0, 1.0])
        with pytest.raises(ParameterError, match=r"\[time, synapse\] = \(1, 1\)"):
            WeightTraces([0], [0], [1.0], [1.0], times=[1.0], values=[[1.0, 2.0]])


def test_importing_the_results_loads_no_heavy_package():
    code = (
        "import sys, neurosim.results, neurosim.analysis, neurosim.io, neurosim.plot; "
        "print([m for m in ('matplotlib', 'pandas', 'xarray', 'neo', 'pynwb') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
