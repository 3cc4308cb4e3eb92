from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosim import io
from neurosim.errors import FileFormatError, NeurosimError, ParameterError, UnknownNameError
from neurosim.results import SpikeTrains, Traces

SAMPLES = Path(__file__).parents[2] / "../shared/data/formats/sonata"
events = st.lists(st.tuples(st.floats(0, 100), st.integers(0, 9)), max_size=50)


@pytest.fixture
def exc():
    return SpikeTrains([0.1, 0.2, 0.2, 5.0], [7, 0, 3, 7], 8, t_stop=10.0, name="exc")


@pytest.fixture
def inh():
    return SpikeTrains([2.5], [0], 2, t_start=1.0, t_stop=10.0, name="inh")


def sample(name):
    path = SAMPLES / name
    if not path.exists():
        pytest.skip(f"the sample file {name} of SONATA is not here")
    return path


class TestSpikes:
    def test_the_layout_is_the_standards(self, exc, tmp_path):
        exc.to_sonata(tmp_path / "s.h5")
        with h5py.File(tmp_path / "s.h5") as file:
            target = file["spikes/exc"]
            assert target["timestamps"].dtype == np.float64
            assert target["timestamps"].attrs["units"] == "ms"
            assert target["node_ids"].dtype == np.uint64
            sorting = target.attrs.get_id("sorting").dtype
            assert h5py.check_enum_dtype(sorting) == {"none": 0, "by_id": 1, "by_time": 2}
            assert sorting.base == np.uint8
            assert target.attrs["sorting"] == 2

    def test_round_trip(self, exc, inh, tmp_path):
        io.write_spikes(tmp_path / "s.h5", [exc, inh])
        assert io.spike_populations(tmp_path / "s.h5") == ["exc", "inh"]
        assert SpikeTrains.from_sonata(tmp_path / "s.h5", "exc").equals(exc)
        assert SpikeTrains.from_sonata(tmp_path / "s.h5", "inh").equals(inh)

    def test_a_view_of_a_population_keeps_its_ids(self, exc, tmp_path):
        part = exc.select([7, 3])
        part.to_sonata(tmp_path / "s.h5")
        again = SpikeTrains.from_sonata(tmp_path / "s.h5")
        assert again.equals(part)
        np.testing.assert_array_equal(again.neuron_ids, [7, 3])

    def test_spikes_can_be_written_to_the_file_that_they_are_read_from(self, exc, tmp_path):
        exc.to_sonata(tmp_path / "s.h5")
        SpikeTrains.from_sonata(tmp_path / "s.h5").to_sonata(tmp_path / "s.h5")
        assert SpikeTrains.from_sonata(tmp_path / "s.h5").equals(exc)
        assert [p.name for p in tmp_path.iterdir()] == ["s.h5"]

    def test_places_where_no_file_can_be_made(self, exc, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere; make it first"):
            exc.to_sonata(tmp_path / "nowhere" / "s.h5")
        with pytest.raises(IsADirectoryError, match=r"is a folder; give the name of a file in it"):
            io.SpikeWriter(tmp_path, {"exc": 3})

    @settings(max_examples=20, deadline=None)
    @given(drawn=events)
    def test_round_trip_of_any_spikes(self, drawn, tmp_path_factory):
        path = tmp_path_factory.mktemp("sonata") / "s.h5"
        spikes = SpikeTrains([t for t, _ in drawn], [i for _, i in drawn], 10, t_stop=100.0)
        spikes.to_sonata(path)
        assert SpikeTrains.from_sonata(path).equals(spikes)

    def test_libsonata_reads_the_same_values(self, exc, inh, tmp_path):
        libsonata = pytest.importorskip("libsonata")
        io.write_spikes(tmp_path / "s.h5", [exc, inh])
        reader = libsonata.SpikeReader(str(tmp_path / "s.h5"))
        assert sorted(reader.get_population_names()) == ["exc", "inh"]
        found = reader["exc"]
        assert found.sorting == "by_time"
        assert found.time_units == "ms"
        columns = found.get_dict()
        np.testing.assert_array_equal(columns["timestamps"], exc.times)
        np.testing.assert_array_equal(columns["node_ids"], exc.ids)
        assert [t for i, t in found.get(node_ids=[7])] == [0.1, 5.0]

    def test_spikes_stay_in_the_file_until_they_are_needed(self, tmp_path):
        rng = np.random.default_rng(1)
        times = np.sort(rng.uniform(0, 1000, 200_000))
        spikes = SpikeTrains(times, rng.integers(0, 50, len(times)), 50, t_stop=1000.0)
        spikes.to_sonata(tmp_path / "s.h5")
        opened = SpikeTrains.from_sonata(tmp_path / "s.h5")
        assert len(opened) == 200_000
        np.testing.assert_array_equal(opened.rates(), spikes.rates())
        assert opened.window(123.0, 456.0).equals(spikes.window(123.0, 456.0))
        assert type(opened._source).__name__ == "SpikeFile"
        assert opened.equals(spikes)

    def test_sample_files_of_the_standard(self):
        spikes = SpikeTrains.from_sonata(sample("spikes/spikes.one_pop.h5"))
        assert spikes.name == "v1"
        assert len(spikes) == 124
        assert (spikes.times[0], spikes.ids[0]) == (136.6, 0)
        assert spikes.t_stop == spikes.times[-1]
        table = io.read_spikes_csv(sample("spikes/spikes.one_pop.csv"))
        assert table.name == "v1"
        # the text has fewer digits: times agree to rounding, ids exactly
        np.testing.assert_allclose(table.times, spikes.times, rtol=1e-15)
        np.testing.assert_array_equal(table.ids, spikes.ids)

    def test_the_layout_of_the_first_draft(self):
        old = SpikeTrains.from_sonata(sample("spikes/spikes.old.h5"))
        new = SpikeTrains.from_sonata(sample("spikes/spikes.one_pop.h5"))
        assert old.equals(new)
        by_gid = SpikeTrains.from_sonata(sample("300_pointneurons/inputs/external_spike_trains.h5"))
        assert len(by_gid) == 4334
        assert (np.diff(by_gid.times) >= 0).all()

    def test_other_units_and_sortings_are_understood(self, tmp_path):
        with h5py.File(tmp_path / "s.h5", "w") as file:
            group = file.create_group("spikes/a")
            group.attrs["sorting"] = "by_id"
            group["timestamps"] = np.array([0.003, 0.001])
            group["timestamps"].attrs["units"] = np.bytes_("s")
            group["node_ids"] = np.array([0, 1], np.uint32)
        spikes = io.read_spikes(tmp_path / "s.h5", n=5, t_stop=10.0)
        np.testing.assert_allclose(spikes.times, [1.0, 3.0])
        np.testing.assert_array_equal(spikes.ids, [1, 0])
        assert (spikes.n, spikes.t_stop) == (5, 10.0)


class TestMistakes:
    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no such file"):
            SpikeTrains.from_sonata(tmp_path / "none.h5")

    def test_names(self, exc, inh, tmp_path):
        io.write_spikes(tmp_path / "s.h5", [exc, inh])
        with pytest.raises(UnknownNameError, match="Did you mean 'exc'"):
            SpikeTrains.from_sonata(tmp_path / "s.h5", "ex")
        with pytest.raises(ParameterError, match=r"2 populations \(exc, inh\): name one"):
            SpikeTrains.from_sonata(tmp_path / "s.h5")
        with pytest.raises(ParameterError, match="two populations are named 'exc'"):
            io.write_spikes(tmp_path / "s.h5", [exc, exc])
        with pytest.raises(ParameterError, match="'a/b' cannot be"):
            io.write_spikes(tmp_path / "s.h5", SpikeTrains([], [], 1, name="a/b"))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda f: f.pop("spikes/exc/node_ids"), "no data set /spikes/exc/node_ids; found"),
            (lambda f: f.pop("spikes/exc/timestamps"), "no data set /spikes/exc/timestamps"),
            (lambda f: f["spikes/exc/node_ids"].resize((2,)), "has 4 values and .*node_ids 2"),
            (lambda f: f.pop("spikes"), "no group /spikes; found in /: nothing"),
            (lambda f: f["spikes/exc/timestamps"].attrs.modify("units", "h"), "the unit 'h'"),
            (lambda f: f["spikes/exc/timestamps"].write_direct(np.full(4, np.nan)), "not finite"),
            (
                lambda f: f["spikes/exc/node_ids"].write_direct(np.full(4, 2**63, np.uint64)),
                "no neuron's id",
            ),
        ],
    )
    def test_what_is_missing_is_named(self, exc, tmp_path, change, message):
        path = tmp_path / "s.h5"
        exc.to_sonata(path)
        with h5py.File(path, "r+") as file:
            change(file)
        with pytest.raises(FileFormatError, match=message) as caught:
            len(SpikeTrains.from_sonata(path).times)
        assert str(path) in str(caught.value)

    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_damaged_files_give_our_errors_only(self, data, tmp_path_factory):
        path = tmp_path_factory.mktemp("fuzz") / "s.h5"
        SpikeTrains([0.1, 0.2], [1, 0], 2, name="exc").to_sonata(path)
        content = bytearray(path.read_bytes())
        if data.draw(st.booleans(), label="truncate"):
            content = content[: data.draw(st.integers(0, len(content) - 1))]
        else:
            # the metadata is in the first kilobytes, the rest is mostly room for spikes
            for _ in range(data.draw(st.integers(1, 5))):
                content[data.draw(st.integers(0, 4000))] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        try:
            len(SpikeTrains.from_sonata(path).times)
        except NeurosimError as error:
            assert str(path) in str(error) or "spikes" in str(error)


class TestReports:
    @pytest.fixture
    def traces(self):
        values = np.arange(12.0).reshape(4, 3)
        t = np.array([0.5, 1.0, 1.5, 2.0])
        return Traces({"V_m": values, "w": -values}, t, [2, 5, 9], {"V_m": "mV", "w": "pA"}, "exc")

    def test_round_trip(self, traces, tmp_path):
        traces.to_sonata(tmp_path / "r.h5", "V_m")
        again = io.read_report(tmp_path / "r.h5")
        assert again.states == ["V_m"]
        assert again.units == {"V_m": "mV"}
        assert again.name == "exc"
        np.testing.assert_array_equal(again["V_m"], traces["V_m"])
        np.testing.assert_allclose(again.t, traces.t)
        np.testing.assert_array_equal(again.ids, traces.ids)

    def test_libsonata_reads_the_same_values(self, traces, tmp_path):
        libsonata = pytest.importorskip("libsonata")
        traces.to_sonata(tmp_path / "r.h5", "V_m")
        report = libsonata.SomaReportReader(str(tmp_path / "r.h5"))["exc"]
        assert report.data_units == "mV"
        assert report.time_units == "ms"
        np.testing.assert_allclose(report.times, (0.5, 2.5, 0.5))
        frame = report.get()
        np.testing.assert_array_equal(frame.ids, [2, 5, 9])
        np.testing.assert_allclose(frame.data, traces["V_m"])
        np.testing.assert_allclose(frame.times, traces.t)

    def test_mistakes(self, traces, tmp_path):
        with pytest.raises(UnknownNameError, match="no state 'v'"):
            traces.to_sonata(tmp_path / "r.h5", "v")
        uneven = Traces({"V_m": [[1.0], [2.0], [3.0]]}, [1.0, 2.0, 4.0], [0], {"V_m": "mV"})
        with pytest.raises(ParameterError, match="equally spaced"):
            uneven.to_sonata(tmp_path / "r.h5", "V_m")
        traces.to_sonata(tmp_path / "r.h5", "V_m")
        with h5py.File(tmp_path / "r.h5", "r+") as file:
            file["report/exc/mapping/time"][2] = 0.1
        with pytest.raises(FileFormatError, match="does not fit the data's 4 samples"):
            io.read_report(tmp_path / "r.h5")

    def test_several_values_a_neuron_are_refused(self, traces, tmp_path):
        traces.to_sonata(tmp_path / "r.h5", "V_m")
        with h5py.File(tmp_path / "r.h5", "r+") as file:
            mapping = file["report/exc/mapping"]
            del mapping["node_ids"], mapping["index_pointers"]
            mapping["node_ids"] = np.array([2, 5], np.uint64)
            mapping["index_pointers"] = np.array([0, 2, 3], np.uint64)
        with pytest.raises(FileFormatError, match="3 values for 2 neurons"):
            io.read_report(tmp_path / "r.h5")
