"""Examples of networks that learn by local rules: small runs find what the large ones show."""

import importlib
from pathlib import Path

import numpy as np
import pytest

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"


def test_stdp_network(tmp_path, capsys):
    example = importlib.import_module("stdp_network")
    found = example.main(["--out", str(tmp_path), "--quick"])
    assert (tmp_path / "stdp_network.png").stat().st_size > 20_000
    assert "80,000" in capsys.readouterr().out  # 800 neurons with 100 synapses each
    for run in found.values():
        late = run.rates[3:]
        assert late.min() > 10.0 and late.max() < 50.0  # neither silent nor running away
        assert 0.7 < run.cv[-1] < 1.4
        np.testing.assert_allclose(run.histograms.sum(axis=1), 1.0)
    start = found["additive"].histograms[0]
    assert start.min() > 0.035 and start.max() < 0.045  # any weight equally likely, 25 bins
    assert example.bimodality(found["additive"]) > 1.2
    assert example.bimodality(found["multiplicative"]) < 0.1
    shape = found["multiplicative"].histograms[-1]
    peak = int(shape.argmax())  # one hump: the histogram rises to its peak and falls after it
    assert (np.diff(shape[: peak + 1]) >= -0.01).all() and (np.diff(shape[peak:]) <= 0.01).all()


def test_digits_poisson_spikes():
    """Rates follow the pixels, times lie in the presentation, images do not mix."""
    from digits_unsupervised import DT, FULL_RATE, MEAN_SUM, PERIOD, PIXELS, SHOWN, poisson_spikes

    images = np.zeros((50, PIXELS))
    images[:, 100], images[:, 200] = 200.0, 100.0
    times, ids = poisson_spikes(images, 0.5, np.random.default_rng(1))
    assert set(ids.tolist()) == {100, 200}
    inside = times % PERIOD
    assert inside.min() >= DT and inside.max() <= SHOWN
    np.testing.assert_allclose(times / DT, np.rint(times / DT))
    rate = 0.5 * FULL_RATE * 300.0 / 255.0 * np.sqrt(MEAN_SUM / 300.0)
    expected = 50 * rate * SHOWN * 1e-3  # 6,110 spikes: 5 sigma are 6.4 %
    assert times.size == pytest.approx(expected, rel=0.064)
    assert np.mean(ids == 100) == pytest.approx(2 / 3, abs=0.03)


def test_digits_rule_and_normalisation():
    """Weights stay in bounds, sum to the total after the interval, and move to active pixels."""
    from digits_unsupervised import PIXELS, TOTAL, Layer, present

    images = np.zeros((3, PIXELS))
    images[:, 200:320] = 255.0
    before = Layer.fresh(5, seed=3)
    counts, after = present(before, images, seed=1, learning=True)
    assert counts.sum() > 5
    assert after.weights.min() >= 0.0 and after.weights.max() <= 1.0
    np.testing.assert_allclose(after.weights.sum(axis=0), TOTAL, rtol=1e-6)
    fired = counts.sum(axis=0) > 0
    share = [w[200:320, fired].sum() / w[:, fired].sum() for w in (before.weights, after.weights)]
    assert share[1] > share[0] + 0.01
    still = before.weights[:, ~fired]
    np.testing.assert_allclose(after.weights[:, ~fired], still, rtol=1e-6)  # no spike, no change
    rise = 0.05 * counts.sum(axis=0)
    np.testing.assert_allclose(after.theta, rise, rtol=2e-3)
    _, frozen = present(after, images, seed=2, learning=False)
    assert frozen.weights is after.weights


def test_digits_thresholds_settle_below_the_reversal_potential():
    """At the intended rate a threshold rests where it gains at spikes what it loses meanwhile."""
    import digits_unsupervised as example

    values = example.digit_neuron().values
    rate = example.ENOUGH / 100 / example.PERIOD
    rest = values["V_th"] + rate * example.THETA_PLUS * values["tau_theta"]
    assert rest < values["E_ex"] - 20.0


def test_digits_assignment():
    from digits_unsupervised import assign, classify

    counts = np.array([[4, 0, 0, 0], [5, 1, 0, 0], [0, 3, 1, 0], [0, 0, 6, 0]])
    digits = assign(counts, np.array([7, 7, 2, 0]))
    assert digits.tolist() == [7, 2, 0, -1]
    assert classify(counts, digits).tolist() == [7, 7, 2, 0]


def test_digits_learns_bars(tmp_path, capsys):
    example = importlib.import_module("digits_unsupervised")
    found = example.main(["--out", str(tmp_path), "--quick", "--patterns", "bars"])
    assert found["accuracy"] > 0.9  # chance 0.1
    assert (tmp_path / "digits_unsupervised.png").stat().st_size > 20_000
    assert "images/s" in capsys.readouterr().out


def test_digits_learns_mnist(tmp_path):
    if not any(MNIST.glob("*ubyte*")):
        pytest.skip(f"MNIST is not in {MNIST.name}/ of the shared data")
    example = importlib.import_module("digits_unsupervised")
    found = example.main(["--out", str(tmp_path), "--quick", "--mnist", str(MNIST)])
    assert found["accuracy"] > 0.3  # 20 neurons, 1,000 images; chance 0.1


def test_digits_says_what_is_missing(tmp_path):
    example = importlib.import_module("digits_unsupervised")
    with pytest.raises(SystemExit, match="--patterns bars"):
        example.main(["--out", str(tmp_path), "--mnist", str(tmp_path / "none")])


def test_what_and_when(tmp_path, capsys):
    example = importlib.import_module("what_and_when")
    found = example.main(["--out", str(tmp_path), "--quick"])
    assert (tmp_path / "what_and_when.png").stat().st_size > 20_000
    for name in ("engine", "numpy"):
        row = found["table"][name]
        assert row["time of A"] == pytest.approx(200.0, abs=15.0)
        assert row["time of B"] == pytest.approx(400.0, abs=15.0)
        assert abs(row["cosine"]) < 0.3
    # the engine's readout is w r, as that of NumPy
    for name in ("A", "B", "cosine"):
        assert found["table"]["engine"][name] == pytest.approx(
            found["table"]["numpy"][name], abs=0.03
        )
    assert found["table"]["expected"]["share"] == pytest.approx(0.8, abs=0.12)
    assert found["diverged"] > 3.0  # three times the rate; the readouts should stay below 1
    assert "three-factor" in capsys.readouterr().out


def test_closed_gate_changes_nothing():
    """Without the third factor the weights stay, bit by bit, whatever the error."""
    from _reservoir import STEPS, simulate

    targets = np.ones((2, STEPS, 2))
    run = simulate(targets, eta=0.5, seed=2, gate=False)
    assert len(run.spikes) > 1000
    np.testing.assert_array_equal(run.weights, 0.0)
    learned = simulate(targets, eta=0.5, seed=2)
    assert np.abs(learned.weights).max() > 0.01
    assert learned.spikes.equals(run.spikes)  # readouts do not act on the reservoir


def test_three_factor_follows_its_definition():
    """One step at a time in NumPy: the same readouts and weights as the engine's."""
    from _reservoir import CUE_OFF, DECAY, STEPS, N, simulate

    eta = 0.1
    targets = np.zeros((1, STEPS, 2))
    targets[0, 300:340, 0] = 1.0
    targets[0, 400:500, 1] = 0.5
    run = simulate(targets, eta=eta, seed=4)
    fired = np.zeros((STEPS + 1, N))
    fired[np.rint(run.spikes.times).astype(int), run.spikes.ids] = 1.0  # row n: time n
    w, r, arriving = np.zeros((2, N)), np.zeros(N), np.zeros(2)
    z, error, gate, power = np.zeros(2), np.zeros(2), 0.0, 0.0
    for n in range(1, STEPS + 1):
        sent = r @ r
        r *= DECAY
        w += eta * gate * np.outer(error, r)  # what the targets did a step (the delay) ago
        y = targets[0, n - 1]
        z = (z + eta * power * gate * (y - z)) * DECAY + arriving
        gate, error, power = float(n > CUE_OFF and n < STEPS), y - z, sent
        arriving = (1.0 - DECAY) * (w @ fired[n])
        r += (1.0 - DECAY) * fired[n]
        np.testing.assert_allclose(run.readout[0, n - 1], z, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(run.weights[0], w, rtol=1e-7, atol=1e-10)


def test_force_is_regularised_least_squares():
    """After any data the weights minimise the squared error plus the penalty."""
    from _reservoir import Force, N

    rng = np.random.default_rng(5)
    r, targets = rng.random((40, N)), rng.normal(size=(40, 2))
    learner = Force(0.7)
    for x, y in zip(r, targets, strict=True):
        learner.update(x, y - learner.w @ x)
    expected = np.linalg.solve(r.T @ r + 0.7 * np.eye(N), r.T @ targets).T
    np.testing.assert_allclose(learner.w, expected, rtol=1e-6, atol=1e-9)


def test_trials_to_adapt():
    from what_and_when import trials_to_adapt

    values = np.r_[-np.ones(50), -np.ones(20), np.ones(30)]
    assert trials_to_adapt(values) == 30  # 20, and half of the twenty that are averaged
    assert trials_to_adapt(-np.ones(100)) is None
