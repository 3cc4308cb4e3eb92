"""Every example runs at small size, writes its files and finds what it should."""

import importlib

import numpy as np
import pytest

from neurosim.results import SpikeTrains


def run(name, tmp_path, *options):
    """Run an example's main() into a temporary folder and return what it found."""
    return importlib.import_module(name).main(["--out", str(tmp_path), "--quick", *options])


def written(folder, *names):
    """Say whether exactly these files were written, none of them nearly empty."""
    files = {path.name: path.stat().st_size for path in folder.iterdir()}
    return set(files) == set(names) and min(files.values()) > 1000


def test_larva_brain(tmp_path, capsys):
    found = run("larva_brain", tmp_path)
    assert written(tmp_path, "larva_brain.png", "larva_silencing.png", "larva_spikes.h5")
    text = capsys.readouterr().out
    assert "2,952 neurons, 110,677 connections, 352,611 synapses" in text
    assert "Signs are assumed by cell class" in text
    rates = found["rates"]
    assert 10.0 < rates["sensories"] < 60.0
    assert 1.0 < rates["dVNCs"] < 30.0  # neither dead nor epileptic
    assert max(rates.values()) < 80.0
    assert found["after"] < 0.5
    assert found["change"]["LNs"]["dVNCs"] > 0.0  # without inhibition they fire more
    spikes = SpikeTrains.from_sonata(tmp_path / "larva_spikes.h5")
    assert len(spikes) == found["spikes"]


def test_fly_brain_surrogate(tmp_path, capsys):
    found = run("fly_brain", tmp_path, "--data", str(tmp_path / "none"))
    assert written(tmp_path, "fly_brain.png")
    assert "SURROGATE" in capsys.readouterr().out
    assert 50 < found["active"] < 430


def test_fly_brain_reads_the_published_table(tmp_path):
    """A made-up table in the published format; ids and groups as in the published files."""
    pandas = pytest.importorskip("pandas")
    import fly_brain

    data = tmp_path / "data"
    data.mkdir()
    np.savez(data / "neuron_ids.npz", v630=np.arange(100, 110))
    (data / "neuron_groups.json").write_text('{"index_v630": {"neu_sugar": [3, -1, 5]}}')
    path = tmp_path / "wiring.parquet"
    table = pandas.DataFrame({"Presynaptic_Index": [3, 5], "Postsynaptic_Index": [1, 2],
                              "Excitatory x Connectivity": [7, -2]})  # fmt: skip
    try:
        table.to_parquet(path)
    except ImportError:
        path.write_bytes(b"PAR1")
        with pytest.raises(ImportError, match="needs pyarrow"):
            fly_brain.read_wiring(path, data, "v630", "neu_sugar")
        return
    wiring = fly_brain.read_wiring(path, data, "v630", "neu_sugar")
    assert wiring.n == 10
    assert wiring.stimulated.tolist() == [3, 5]
    assert wiring.synapses.tolist() == [7, -2]
    assert "SURROGATE" not in wiring.label


def test_fly_brain_says_which_data_it_needs(tmp_path):
    import fly_brain

    with pytest.raises(SystemExit, match="say with --data"):
        fly_brain.published_ids(tmp_path, "v630")


def test_fly_brain_compares_with_the_published_rates(tmp_path, capsys):
    import fly_brain

    if not (fly_brain.DATA / "reference_rates.npz").exists():
        pytest.skip("the published rates are not here (../shared/data/connectomes/fly_shiu2024)")
    ids, groups = fly_brain.published_ids(fly_brain.DATA, "v630")
    stimulated = np.array(groups["index_v630"]["neu_sugar"])
    none = np.zeros(0, np.int64)
    wiring = fly_brain.Wiring(none, none, none, len(ids), stimulated, ids)
    rates = np.zeros(len(ids))
    reference = np.load(fly_brain.DATA / "reference_rates.npz")
    index = {int(neuron): k for k, neuron in enumerate(ids)}
    rates[[index[int(neuron)] for neuron in reference["sugarR_100Hz__id"]]] = reference[
        "sugarR_100Hz__rate"
    ]
    found = fly_brain.compare(wiring, rates, fly_brain.DATA, "v630", "sugarR_100Hz")
    assert found["correlation"] == pytest.approx(1.0)
    assert "MN9_contralateral    67.0 Hz, published   67.0 Hz" in capsys.readouterr().out


def test_worm(tmp_path):
    rates = run("worm", tmp_path)
    assert written(tmp_path, "worm.png", "worm_spikes.csv")
    assert all(1.0 < rate < 150.0 for rate in rates.values())


def test_cortical_microcircuit(tmp_path):
    from cortical_microcircuit import REFERENCE_10

    rates = run("cortical_microcircuit", tmp_path, "--threads", "1")
    assert written(tmp_path, "cortical_microcircuit.png")
    # half a second: within 15 %, and 0.1 Hz where hardly any neuron fires
    assert list(rates.values()) == pytest.approx(REFERENCE_10, rel=0.15, abs=0.1)


def test_brette_benchmarks(tmp_path):
    rates = run("brette_benchmarks", tmp_path)
    assert written(tmp_path, "brette_benchmarks.png")
    assert 4.0 < rates["CUBA"] < 8.0
    assert 10.0 < rates["COBA"] < 30.0
    assert 8.0 < rates["voltage jump"] < 11.0


def test_brunel(tmp_path):
    from brunel import REGIMES

    rates = run("brunel", tmp_path)
    assert written(tmp_path, "brunel.png")
    for name, (_, (expected, _)) in REGIMES.items():
        assert rates[name] == pytest.approx(expected, rel=0.1 if expected > 20.0 else 0.5)


def test_custom_model(tmp_path):
    onset = run("custom_model", tmp_path)
    assert written(tmp_path, "custom_model_traces.png", "custom_model_rates.png")
    assert onset["0"] == pytest.approx(37.5, abs=4.0)  # 500 ms are short for the slowest rates
    assert onset["2"] < onset["0"]
