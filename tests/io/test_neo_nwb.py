"""Neo and NWB through the formats' own libraries; skipped where these are not installed."""

from datetime import datetime

import h5py
import numpy as np
import pytest

from neurosim import analysis, io
from neurosim.errors import FileFormatError, MissingPackageError, ParameterError, UnknownNameError
from neurosim.results import SpikeTrains


@pytest.fixture
def exc():
    return SpikeTrains([0.5, 2.0, 8.0], [1, 0, 1], 3, t_stop=10.0, name="exc")


@pytest.fixture
def inh():
    return SpikeTrains([4.0], [6], 1, t_stop=10.0, name="inh", neuron_ids=[6])


class TestNeo:
    @pytest.fixture(autouse=True)
    def _needs_neo(self):
        pytest.importorskip("neo", reason="neo is an optional package")

    def test_values(self, exc):
        trains = exc.to_neo()
        assert len(trains) == 3
        np.testing.assert_array_equal(trains[1].rescale("ms").magnitude, [0.5, 8.0])
        assert float(trains[0].t_stop.rescale("s")) == pytest.approx(0.01)
        assert trains[2].annotations == {"population": "exc", "neuron_id": 2}

    def test_round_trip(self, exc, inh):
        assert io.from_neo(exc.to_neo()).equals(exc)
        assert io.from_neo(inh.to_neo()).equals(inh)
        with pytest.raises(ParameterError, match="empty"):
            io.from_neo([])

    def test_seconds_become_milliseconds(self):
        import neo

        train = neo.SpikeTrain([0.001, 0.002], units="s", t_stop=0.01)
        spikes = io.from_neo([train], name="a")
        np.testing.assert_allclose(spikes.times, [1.0, 2.0])
        assert (spikes.name, spikes.t_stop) == ("a", 10.0)

    def test_statistics_agree_with_elephant(self):
        statistics = pytest.importorskip("elephant.statistics", reason="elephant is not installed")
        rng = np.random.default_rng(1)
        trains = [np.cumsum(rng.gamma(2, 10, 50)) for _ in range(5)]
        spikes = SpikeTrains.from_lists(trains, t_stop=2000.0)
        for k, train in enumerate(spikes.to_neo()):
            intervals = np.diff(train.magnitude)
            assert statistics.cv(intervals) == pytest.approx(spikes.isi_cv()[k])
            assert statistics.cv2(intervals) == pytest.approx(spikes.cv2()[k])
            assert statistics.lv(intervals) == pytest.approx(analysis.lv(spikes)[k])


class TestNwb:
    @pytest.fixture(autouse=True)
    def _needs_pynwb(self):
        pytest.importorskip("pynwb", reason="pynwb is an optional package")

    def test_pynwb_reads_the_same_values(self, exc, inh, tmp_path):
        import pynwb

        io.write_nwb(tmp_path / "s.nwb", [exc, inh])
        with pynwb.NWBHDF5IO(str(tmp_path / "s.nwb"), "r") as file:
            units = file.read().units
            np.testing.assert_allclose(units["spike_times"][1], [0.0005, 0.008])
            np.testing.assert_allclose(units["obs_intervals"][0], [[0.0, 0.01]])
            assert list(units["population"][:]) == ["exc"] * 3 + ["inh"]
            assert list(units["neuron_id"][:]) == [0, 1, 2, 6]

    def test_round_trip(self, exc, inh, tmp_path):
        io.write_nwb(tmp_path / "s.nwb", [exc, inh])
        again = io.read_nwb(tmp_path / "s.nwb", "exc")
        np.testing.assert_allclose(again.times, exc.times)
        np.testing.assert_array_equal(again.ids, exc.ids)
        assert (again.n, again.t_stop, again.name) == (3, 10.0, "exc")
        np.testing.assert_array_equal(io.read_nwb(tmp_path / "s.nwb", "inh").neuron_ids, [6])
        with pytest.raises(UnknownNameError, match="Did you mean 'exc'"):
            io.read_nwb(tmp_path / "s.nwb", "ex")
        with pytest.raises(ParameterError, match="name one"):
            io.read_nwb(tmp_path / "s.nwb")

    def test_the_time_needs_a_zone(self, exc, tmp_path):
        with pytest.raises(ParameterError, match="time zone"):
            exc.to_nwb(tmp_path / "s.nwb", session_start_time=datetime(2020, 1, 1))


def test_units_written_by_others_are_read_without_pynwb(tmp_path):
    with h5py.File(tmp_path / "s.nwb", "w") as file:
        file["units/spike_times"] = [0.001, 0.002, 0.003]
        file["units/spike_times_index"] = np.array([2, 2, 3], np.uint8)
    spikes = io.read_nwb(tmp_path / "s.nwb")
    np.testing.assert_allclose(spikes.times, [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(spikes.ids, [0, 0, 2])
    with h5py.File(tmp_path / "s.nwb", "r+") as file:
        file["units/spike_times_index"][2] = 200
    with pytest.raises(FileFormatError, match="do not fit together"):
        io.read_nwb(tmp_path / "s.nwb")
    with h5py.File(tmp_path / "empty.nwb", "w"):
        pass
    with pytest.raises(FileFormatError, match="no group /units"):
        io.read_nwb(tmp_path / "empty.nwb")


def test_a_missing_package_is_named(exc, monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "neo", None)
    monkeypatch.setitem(__import__("sys").modules, "pynwb", None)
    with pytest.raises(MissingPackageError, match=r'pip install "neurosim\[neo\]"'):
        exc.to_neo()
    with pytest.raises(MissingPackageError, match=r'pip install "neurosim\[nwb\]"'):
        exc.to_nwb(tmp_path / "s.nwb")
