"""Gap junctions, the astrocyte and its current against NEST (nest_couplings.npz)."""

from pathlib import Path

import nest_couplings as made
import numpy as np
import pytest

import neurosim as ns
from neurosim.network.tripartite import SLOW_INWARD_CURRENT

STORED = np.load(Path(__file__).with_name("nest_couplings.npz"))


@pytest.mark.parametrize("case", ["alone", "gap"])
def test_two_fast_spiking_neurons_equal_nest(case):
    """Every spike in the same step; NEST iterates waveforms to 1e-7 mV.

    Away from spikes potentials agree to 1e-3 mV: both methods are of second order or better, and
    dt is 0.05 ms. Alone, both use the adaptive method with the same tolerance.
    """
    net = ns.Network()
    model = ns.models.hh_psc_alpha_gap(I_e=made.GAP["I_e"])
    start = np.array([made.GAP["V_m"], -69.60401191631222])
    cells = net.population(2, model, name="cells", V_m=start)
    net.gap_junctions(cells[:1], cells[1:], g=made.GAP["g"] if case == "gap" else 0.0)
    record = [ns.Spikes(cells), ns.State(cells, ["V_m"], interval=0.5)]
    results = ns.simulate(net, made.GAP["duration"], dt=made.GAP["dt"], record=record)
    spikes, v = results.spikes["cells"], results.traces["cells"]["V_m"]
    expected = STORED[f"{case} V_m"].T
    error = np.abs(v[: len(expected)] - expected)
    for i in (0, 1):
        times = STORED[f"{case} times"][STORED[f"{case} ids"] == i]
        assert times.size == 6
        np.testing.assert_allclose(spikes.times[spikes.ids == i], times, rtol=0, atol=1e-9)
    if case == "alone":
        assert error.max() < 1e-4
    assert np.median(error) < 1e-3


def test_fast_spiking_defaults_are_those_of_nest():
    """At rest with NEST's initial states nothing moves by more than 0.1 mV at once."""
    net = ns.Network()
    cells = net.population(2, ns.models.hh_psc_alpha_gap(), name="cells")
    net.gap_junctions(cells[:1], cells[1:], g=0.0)  # the kernel of the test above
    record = [ns.Spikes(cells), ns.State(cells, ["V_m"], interval=1.0)]
    results = ns.simulate(net, 100.0, dt=made.GAP["dt"], record=record)
    assert not len(results.spikes["cells"])
    assert np.ptp(results.traces["cells"]["V_m"]) < 0.1


def astrocyte_and_neuron(duration, interval):
    net = ns.Network()
    source = net.population(1, ns.models.spike_source(times=made.TRAIN), name="source")
    astrocyte = net.population(1, ns.models.astrocyte_lr_1994(), name="astrocyte")
    neuron = net.population(1, ns.models.aeif_cond_alpha(), name="neuron")
    net.connect(source, astrocyte, weight=made.ASTRO["weight"], delay=1.0)
    net.couple(
        astrocyte, neuron, signal=SLOW_INWARD_CURRENT, weight=made.ASTRO["sic_weight"],
        delay=made.ASTRO["delay"], interval=interval,
    )  # fmt: skip
    record = [
        ns.State(astrocyte, ["IP3", "Ca_astro", "h_IP3R"], interval=10.0),
        ns.State(neuron, ["V_m"], interval=10.0),
    ]
    return ns.simulate(net, duration, record=record).traces


def test_astrocyte_equals_nest():
    """Calcium, IP3 and the gate to 1e-10 over 20 s; the neuron's potential as well.

    The fourth-order method with a step of 0.1 ms and NEST's adaptive one are both exact here.
    """
    traces = astrocyte_and_neuron(20000.0, 1.0)
    for name in ("IP3", "Ca_astro", "h_IP3R"):
        found = traces["astrocyte"][name][:, 0]
        expected = STORED[f"astrocyte {name}"][: found.size]
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=0)
    assert STORED["astrocyte I_SIC"].max() > 100.0
    v = traces["neuron"]["V_m"][:, 0]
    # sampled every ms, not every step
    assert np.abs(v - STORED["astrocyte V_m"][: v.size]).max() < 0.03


def test_slow_inward_current_of_every_step_equals_nest():
    v = astrocyte_and_neuron(3800.0, 0.1)["neuron"]["V_m"][:, 0]
    expected = STORED["astrocyte V_m"][: v.size]
    assert np.ptp(expected) > 1.0
    np.testing.assert_allclose(v, expected, rtol=0, atol=1e-8)
