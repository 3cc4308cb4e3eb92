"""The neuron with dendritic action potentials does what its equations say."""

from typing import Any

import numpy as np
import pytest

import neurosim as ns

W_MAX = 1.1 * 59.0 / 5  # five simultaneous synapses pass the dendritic threshold by a tenth
STATES = ["V_m", "I_dend", "dAP", "z"]


def cells_with(
    counts: Any, times: Any, *, duration: float, dt: float = 0.1, engine: Any = "cpu",
    external: Any = None, **initial: Any,
) -> ns.Results:  # fmt: skip
    """Return the answer of cells to `counts` dendritic synapses, active at `times`.

    `external` holds times and weight of somatic input. A delay of 0.1 ms is included: input
    arrives when it is said to.
    """
    net = ns.Network()
    model = ns.models.iaf_psc_exp_nonlineardendrite()
    cells = net.population(len(counts), model, name="cells", **initial)
    every = ns.Explicit(np.zeros(len(counts), int), np.arange(len(counts)))
    for name, given, amount in (
        ("dend", times, W_MAX * np.asarray(counts, float)),
        ("exc", *(external or ([], 0.0))),
    ):
        if len(given):
            source = net.population(
                1, ns.models.spike_source(times=np.asarray(given) - 0.1, round_times=True)
            )
            net.connect(source, cells, every, weight=amount, delay=0.1, receptor=name)
    record = [ns.Spikes(cells), ns.State(cells, STATES, interval=dt)]
    return ns.simulate(net, duration, dt=dt, record=record, engine=engine)


def test_onset_of_the_dendritic_spike() -> None:
    """Five synapses are needed; the current passes 59 pA when the alpha function does."""
    traces = cells_with([4, 5, 6, 20], [1.0], duration=6.5, dt=0.001).traces["cells"]
    assert traces["I_dend"][:, 0].max() == pytest.approx(51.92, abs=1e-4)
    assert not traces["dAP"][:, 0].any()
    for k, (count, published) in enumerate(((5, 3.123), (6, 2.137), (20, 0.459)), start=1):
        t = np.arange(0.0, 5.0, 1e-4)
        current = count * W_MAX * np.e / 5.0 * t * np.exp(-t / 5.0)
        assert current.max() == pytest.approx(count * 12.98, rel=1e-6)
        crossing = t[np.argmax(current >= 59.0)]
        assert crossing == pytest.approx(published, abs=1e-3)
        onset = traces.t[np.argmax(traces["dAP"][:, k] > 0)] - 1.0
        assert crossing <= onset + 1e-9 < crossing + 0.0012  # the grid rounds up


@pytest.mark.parametrize(("depolarised", "published"), [(False, 2.412), (True, 0.970)])
def test_latency(depolarised: bool, published: float) -> None:
    """A predicted cell answers 1.44 ms earlier; V'= -V/tau + I/C passes 20 mV."""
    start = {"V_m": 8.0, "I_dend": 200.0, "dAP": 60.0} if depolarised else {}
    results = cells_with([0], [], duration=5.0, dt=0.001, external=([1.0], 4112.2), **start)
    assert results.spikes["cells"].times[0] - 1.0 == pytest.approx(published, abs=1.5e-3)


def test_course_of_the_dendritic_spike() -> None:
    """I_p for tau_dAP, then nothing; 8 (1 - exp(-t/tau_m)) on the membrane; z counts it."""
    traces = cells_with([20], [1.0], duration=90.0).traces["cells"]
    on = traces["dAP"][:, 0] > 0
    np.testing.assert_allclose(traces.t[on], 1.5 + 0.1 * np.arange(600), atol=1e-9)
    np.testing.assert_array_equal(traces["I_dend"][on, 0], 200.0)
    after = np.flatnonzero(on)[-1] + 1
    np.testing.assert_array_equal(traces["I_dend"][after:, 0], 0.0)
    np.testing.assert_allclose(traces["dAP"][on, 0], 60.0 - 0.1 * np.arange(600), atol=1e-9)
    v, t = traces["V_m"][on, 0], traces.t[on] - 1.5
    np.testing.assert_allclose(v, 8.0 + (v[0] - 8.0) * np.exp(-t / 10.0), atol=1e-9)
    z = traces["z"][np.flatnonzero(on)[0] :, 0]
    np.testing.assert_allclose(z, np.exp(-0.1 * np.arange(z.size) / 440.0), rtol=1e-9)


def test_input_in_a_dendritic_spike_is_lost() -> None:
    """What arrives meanwhile neither prolongs it nor is left; later input starts another."""
    traces = cells_with([20], [1.0, 30.0, 61.4, 70.0], duration=140.0).traces["cells"]
    dap = traces["dAP"][:, 0]
    starts = traces.t[np.flatnonzero(np.diff(dap, prepend=0.0) > 1.0)]
    np.testing.assert_allclose(starts, [1.5, 70.5], atol=1e-9)
    assert np.count_nonzero(dap) == 1200


def test_a_somatic_spike_cancels_it() -> None:
    """Current, potential and the rest of the dAP are gone; the cell rests afterwards."""
    results = cells_with([20], [1.0], duration=80.0, external=([30.0], 4112.2))
    (spike,) = results.spikes["cells"].times
    assert 30.9 <= spike <= 31.1
    traces = results.traces["cells"]
    later = traces.t > spike - 0.05
    for state in ("I_dend", "dAP"):
        assert not traces[state][later, 0].any()
    refractory = later & (traces.t < spike + 10.05)
    assert not traces["V_m"][refractory, 0].any()
    assert traces["z"][later, 0].max() < 1.0  # it was counted once


def test_below_threshold_the_dendrite_is_linear() -> None:
    """The potential of iaf_psc_alpha, to second order of the step."""
    traces = cells_with([4], [1.0], duration=60.0).traces["cells"]
    net = ns.Network()
    model = ns.models.iaf_psc_alpha(
        tau_m=10.0, C_m=250.0, E_L=0.0, V_reset=0.0, V_th=20.0, tau_syn_ex=5.0
    )
    cell = net.population(1, model, name="cell", V_m=0.0)
    source = net.population(1, ns.models.spike_source(times=[0.9]))
    net.connect(source, cell, weight=4 * W_MAX, delay=0.1)
    exact = ns.simulate(net, 60.0, record=[ns.State(cell, ["V_m"], interval=0.1)]).traces["cell"]
    assert exact["V_m"].max() > 1.0
    np.testing.assert_allclose(traces["V_m"], exact["V_m"], atol=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_engines_agree(threads: int) -> None:
    """Reference and CPU, with spikes, cancelled and uncancelled dendritic spikes."""
    case = {
        "counts": [0, 4, 5, 6, 20, 40], "times": [1.0, 1.0, 3.0, 40.0, 80.0], "duration": 160.0,
        "external": ([20.0, 60.0, 110.0], 4112.2),
    }  # fmt: skip
    a = cells_with(**case, engine="reference")
    b = cells_with(**case, engine=ns.CPU(threads=threads))
    assert len(a.spikes["cells"].times) > 12
    np.testing.assert_array_equal(a.spikes["cells"].times, b.spikes["cells"].times)
    np.testing.assert_array_equal(a.spikes["cells"].ids, b.spikes["cells"].ids)
    for state in STATES:
        np.testing.assert_allclose(
            a.traces["cells"][state], b.traces["cells"][state], rtol=1e-10, atol=1e-10
        )
    single = cells_with(**case, engine=ns.CPU(threads=threads, precision="float32"))
    np.testing.assert_array_equal(a.traces["cells"]["dAP"] > 0, single.traces["cells"]["dAP"] > 0)
