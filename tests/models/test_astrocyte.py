"""The astrocyte: rest, oscillations, slow inward current, IP3 from spikes, step sizes."""

import numpy as np
import pytest

import neurosim as ns
from neurosim.network.tripartite import SLOW_INWARD_CURRENT

#: Calcium at a clamped IP3 [uM]: a steady value, or a range and the period [s] (sheet B).
STEADY = {0.3: 0.1231, 0.8: 0.3906, 1.0: 0.4527, 1.5: 0.5525}
OSCILLATING = {
    0.4: (0.105, 0.313, 12.8),
    0.45: (0.104, 0.393, 12.0),
    0.5: (0.108, 0.445, 11.5),
    0.6: (0.136, 0.500, 11.0),
}


def astrocytes(duration, dt=1.0, record=("Ca_astro",), start=None, inputs=None, interval=10.0,
               **params):  # fmt: skip
    """Return the traces of one astrocyte for each value of a parameter."""
    n = max((np.size(v) for v in params.values()), default=1)
    net = ns.Network()
    model = ns.models.astrocyte_lr_1994(**params)
    cells = net.population(n, model, name="cells", **(start or {}))
    if inputs:
        net.poisson_input(cells, **inputs)
    recorded = [ns.State(cells, list(record), interval=interval)]
    return ns.simulate(net, duration, dt=dt, seed=1, record=recorded).traces["cells"]


def test_calcium_at_clamped_ip3():
    """Steady at IP3 <= 0.3 and >= 0.8, oscillating between, with the sheet's values to 2 %."""
    ip3 = np.array([*STEADY, *OSCILLATING])
    calcium = astrocytes(150_000.0, dt=2.0, IP3_0=ip3, start={"IP3": ip3})["Ca_astro"]
    late = calcium[-5000:]  # 50 s
    for k, expected in enumerate(STEADY.values()):
        assert np.ptp(late[:, k]) < 2e-3 * expected
        assert late[-1, k] == pytest.approx(expected, rel=0.02)
    for k, (low, high, period) in enumerate(OSCILLATING.values(), len(STEADY)):
        x = late[:, k]
        assert x.min() == pytest.approx(low, rel=0.02)
        assert x.max() == pytest.approx(high, rel=0.02)
        middle = 0.5 * (low + high)
        ups = np.flatnonzero((x[:-1] < middle) & (x[1:] >= middle))
        assert np.diff(ups).mean() * 0.01 == pytest.approx(period, rel=0.02)


def test_rest():
    traces = astrocytes(100_000.0, dt=2.0, record=("IP3", "Ca_astro", "h_IP3R"))
    found = [traces[s][-1, 0] for s in ("IP3", "Ca_astro", "h_IP3R")]
    np.testing.assert_allclose(found, [0.16, 0.0722, 0.7924], rtol=0.002)


def test_slow_inward_current():
    """SIC = ln((Ca - th)/nM) above threshold, 0 below; values of the sheet to 1e-3 pA."""
    calcium = np.array([0.1, 0.1976, 0.2, 0.25, 0.3, 0.5, 1.0])
    expected = [0.0, 0.0, 1.197, 3.976, 4.638, 5.715, 6.689]
    from neurosim.lower.plan import lower

    net = ns.Network()
    cells = net.population(7, ns.models.astrocyte_lr_1994(), name="cells")
    neurons = net.population(7, ns.models.aeif_cond_alpha(), name="neurons")
    net.couple(cells, neurons, ns.OneToOne(), signal=SLOW_INWARD_CURRENT)
    signal = lower(net, 0.1, 0, 0, ()).signals[0]
    found = signal.sampled({"Ca_astro": calcium, "IP3": 0.0, "h_IP3R": 0.0}, 0.0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


def test_a_coarse_step_suffices():
    """Calcium with a step of 10 ms differs by less than 1 % from that with 1 ms."""
    params = {"IP3_0": np.array([0.3, 0.5, 0.6]), "start": {"IP3": np.array([0.3, 0.5, 0.6])}}
    fine, coarse = (astrocytes(30_000.0, dt=dt, **params)["Ca_astro"] for dt in (1.0, 10.0))
    assert np.ptp(fine[:, 1]) > 0.3
    assert np.abs(coarse / fine - 1).max() < 0.01


def test_ip3_under_poisson_input():
    """Mean IP3_0 + delta_IP3 tau_IP3 w R; std of shot noise delta sqrt(tau R / 2) (Campbell)."""
    for rate, weight in ((1500.0, 1.0), (300.0, 2.0)):
        inputs = {"rate": rate, "weight": weight}
        traces = astrocytes(
            40_000.0, dt=2.0, record=("IP3",), inputs=inputs, IP3_0=np.full(40, 0.16)
        )
        ip3 = traces["IP3"][-1]
        mean = 0.16 + 2e-4 * weight * 7.142 * rate * (1 - np.exp(-40_000.0 / 7142))
        sd = 2e-4 * weight * np.sqrt(7.142 * rate / 2)
        assert abs(ip3.mean() - mean) < 5 * sd / np.sqrt(40)
        assert 0.6 * sd < ip3.std() < 1.5 * sd


def test_it_never_fires():
    net = ns.Network()
    cells = net.population(2, ns.models.astrocyte_lr_1994(), name="cells", Ca_astro=1.9)
    results = ns.simulate(net, 100.0, record=[ns.Spikes(cells)])
    assert not len(results.spikes["cells"])
