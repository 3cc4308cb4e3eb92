"""The examples of dendritic theory, of spike train classification, and of intrinsic parameters."""

import argparse

import numpy as np
import pytest

pytest.importorskip("matplotlib")


def test_dendritic_theory(tmp_path, capsys):
    import dendritic_theory

    found = dendritic_theory.main(["--out", str(tmp_path), "--quick"])
    assert (tmp_path / "dendritic_theory.png").stat().st_size > 20_000
    # 14 rows, one false alarm in 1,000; rows of few expected matches are not normal: 5 errors
    assert len(found) == 14
    assert max(abs(distance) for distance in found.values()) < 5.0
    text = capsys.readouterr().out
    for published in ("8.376e-13", "2.472e-23", "1.542e-12", "1.080e-07", "1.663e-16"):
        assert text.count(published) == 2  # theory and publication agree in all digits shown


def test_spike_train_classification(tmp_path, capsys):
    import spike_train_classification

    found = spike_train_classification.main(["--out", str(tmp_path), "--quick"])
    assert (tmp_path / "spike_train_classification.png").stat().st_size > 20_000
    passes = found["passes"]
    assert all(p <= 100 for by_load in passes.values() for seeds in by_load.values() for p in seeds)
    assert found["difference"] < 1e-8
    accuracy = found["accuracy"]
    assert accuracy["Bernoulli p=0.1 / 0.2"][0] >= 97.0
    assert accuracy["Bernoulli / Markov, p=0.1"][0] >= 90.0  # 40 test trains
    by_words, by_count = accuracy["simulated regular / bursting"]
    assert by_words >= 80.0
    assert by_count == 50.0  # pairs of equal count
    assert "100 of 100 patterns decided as wanted" in capsys.readouterr().out


class TestIntrinsicParameters:
    def test_classes_have_one_rate_and_differ_in_time(self):
        pytest.importorskip("torch")
        import intrinsic_parameters

        spikes, labels = (x.numpy() for x in intrinsic_parameters.spike_trains(200, 500, 3))
        regular, bursts = spikes[:, labels == 0], spikes[:, labels == 1]
        assert 1000 * regular.mean() == pytest.approx(20.0, rel=0.03)
        assert 1000 * bursts.mean() == pytest.approx(20.0, rel=0.03)
        together = [float((s[3:] * s[:-3]).mean() / s.mean()) for s in (regular, bursts)]
        assert together[0] < 0.03 < 0.6 < together[1]  # a spike 3 ms after a spike

    def test_learning_them_repairs_a_short_time_constant(self):
        """At least 5 points above the weights alone, in a small version of the example."""
        torch = pytest.importorskip("torch")
        import intrinsic_parameters

        options = argparse.Namespace(train=300, test=300, steps=200, epochs=25)
        with torch.random.fork_rng():
            alone, both = (
                intrinsic_parameters.train(1.0, intrinsic, 0, options) for intrinsic in (0, 1)
            )
        assert alone["tau"] == pytest.approx(1.0, rel=1e-3)
        assert both["tau"] > 2.0
        assert both["accuracy"] >= alone["accuracy"] + 5.0

    def test_it_writes_what_it_found(self, tmp_path):
        torch = pytest.importorskip("torch")
        import intrinsic_parameters

        with torch.random.fork_rng():
            found = intrinsic_parameters.main(["--out", str(tmp_path), "--quick"])
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {"intrinsic_parameters.json", "intrinsic_parameters.png"}
        assert set(found) == {"10x too short", "matched", "10x too long"}
        assert all(np.isfinite(a).all() for by in found.values() for a in by.values())
