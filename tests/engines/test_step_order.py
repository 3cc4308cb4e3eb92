"""The order of a step: propagate, arrivals, threshold, reset, record."""

from __future__ import annotations

import numpy as np
import pytest

import neurosim as ns

ENGINES = ["reference", ns.CPU(strategy="clock", threads=1), ns.CPU(strategy="event", threads=2)]


def driven(model, times, weight, engine, *, duration=20.0, delay=1.0, states=("V_m",), **initial):
    net = ns.Network()
    source = net.population(1, ns.models.spike_source(times=times), name="source")
    cell = net.population(1, model, name="cell", **initial)
    net.connect(source, cell, weight=weight, delay=delay)
    record = [ns.Spikes(source), ns.Spikes(cell), ns.State(cell, list(states), 0.1)]
    return ns.simulate(net, duration, dt=0.1, record=record, engine=engine)


def at(results, state, t):
    return results.traces["cell"][state][round(t / 0.1) - 1, 0]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_delta_synapse_acts_in_the_step_of_its_arrival(engine):
    results = driven(ns.models.iaf_psc_delta(), [3.0], 5.0, engine, delay=2.0)
    assert results.spikes["source"].times == pytest.approx([3.0])
    assert at(results, "V_m", 4.9) == -70.0
    assert at(results, "V_m", 5.0) == -65.0  # 3 ms + 2 ms, not yet decayed
    # then it decays with tau_m = 10 ms
    assert at(results, "V_m", 5.1) == pytest.approx(-70.0 + 5.0 * np.exp(-0.01), abs=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_exponential_synapse_moves_the_membrane_one_step_later(engine):
    states = ("V_m", "I_syn_ex")
    results = driven(ns.models.iaf_psc_exp(), [3.0], 100.0, engine, delay=2.0, states=states)
    assert at(results, "I_syn_ex", 4.9) == 0.0
    assert at(results, "I_syn_ex", 5.0) == 100.0
    assert at(results, "V_m", 5.0) == -70.0
    # exact: w/C * tau_m tau_s/(tau_m - tau_s) (exp(-h/tau_m) - exp(-h/tau_s))
    h, tau_m, tau_s = 0.1, 10.0, 2.0
    psp = (
        100.0 / 250.0 * tau_m * tau_s / (tau_m - tau_s) * (np.exp(-h / tau_m) - np.exp(-h / tau_s))
    )
    assert at(results, "V_m", 5.1) == pytest.approx(-70.0 + psp, abs=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_spike_and_the_reset_share_the_step_of_the_arrival(engine):
    results = driven(ns.models.iaf_psc_delta(V_reset=-66.0), [3.0], 20.0, engine)
    assert results.spikes["cell"].times == pytest.approx([4.0])
    assert at(results, "V_m", 4.0) == -66.0  # recorded after the reset


@pytest.mark.parametrize("engine", ENGINES)
def test_refractory_steps(engine):
    # spike at 4.0 with t_ref = 2: steps 4.1 ... 6.0 are held; input that arrives then is discarded
    # by iaf_psc_delta, and the one at 6.1 counts again
    for second, counts in ((4.1, False), (6.0, False), (6.1, True)):
        model = ns.models.iaf_psc_delta(t_ref=2.0)
        results = driven(model, [3.0, second - 1.0], 20.0, engine)
        expected = [4.0, second] if counts else [4.0]
        assert results.spikes["cell"].times == pytest.approx(expected)


@pytest.mark.parametrize("engine", ENGINES)
def test_two_spikes_of_a_source_in_one_step_count_twice(engine):
    results = driven(ns.models.iaf_psc_delta(), [3.0, 3.0], 4.0, engine)
    assert results.spikes["source"].times == pytest.approx([3.0, 3.0])
    assert at(results, "V_m", 4.0) == -62.0


@pytest.mark.parametrize("engine", ENGINES)
def test_arrivals_of_one_step_are_summed_before_the_threshold(engine):
    # excitation beyond threshold and inhibition arrive together: no spike, whichever came first
    net = ns.Network()
    source = net.population(2, ns.models.spike_source(times=[2.0, 1.0], ids=[0, 1]), name="source")
    cell = net.population(2, ns.models.iaf_psc_delta(), name="cell")
    for sign, delay, ids in ((20.0, 1.0, [0]), (-10.0, 2.0, [1])):
        for target in (0, 1):
            net.connect(source[ids], cell[target], weight=sign, delay=delay)
    results = ns.simulate(net, 10.0, record=[ns.Spikes(cell)], engine=engine)
    assert len(results.spikes["cell"]) == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_three_neurons_in_a_row(engine):
    # as in Brian2's issue 1332: a spike that makes a spike that makes a spike, each a delay
    # later, whatever the order in which the populations were made
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        net = ns.Network()
        made = {}
        for k in order:
            model = ns.models.spike_source(times=[1.0]) if k == 0 else ns.models.iaf_psc_delta()
            made[k] = net.population(1, model, name=f"cell {k}")
        net.connect(made[0], made[1], weight=50.0, delay=0.1)
        net.connect(made[1], made[2], weight=50.0, delay=0.1)
        net.connect(made[2], made[1], weight=50.0, delay=0.1)  # arrives in its dead time
        results = ns.simulate(net, 5.0, record=[ns.Spikes(p) for p in made.values()], engine=engine)
        times = [results.spikes[f"cell {k}"].times for k in range(3)]
        np.testing.assert_allclose(np.concatenate(times), [1.0, 1.1, 1.2])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_parrot_repeats_in_the_step_of_the_arrival(engine):
    net = ns.Network()
    source = net.population(1, ns.models.spike_source(times=[1.0, 1.0, 2.5]), name="source")
    parrot = net.population(3, ns.models.parrot(), name="parrot")
    cell = net.population(3, ns.models.iaf_psc_delta(), name="cell")
    net.connect(source, parrot, weight=-7.0, delay=0.4)
    net.connect(parrot, cell, ns.OneToOne(), weight=3.0, delay=0.3)
    record = [ns.Spikes(parrot), ns.State(cell, ["V_m"], 0.1)]
    results = ns.simulate(net, 4.0, record=record, engine=engine)
    spikes = results.spikes["parrot"]
    np.testing.assert_allclose(spikes.times, np.repeat([1.4, 1.4, 2.9], 3))
    np.testing.assert_array_equal(spikes.ids, [0, 0, 1, 1, 2, 2, 0, 1, 2])
    assert results.traces["cell"]["V_m"][15, 0] == -70.0
    assert results.traces["cell"]["V_m"][16, 0] == -64.0  # two spikes of 3 mV at 1.7 ms


@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_current_flows_from_its_time_on(engine):
    # exact: V = R I (1 - exp(-t/tau)) for the time since the current began, at 1 ms
    net = ns.Network()
    cell = net.population(2, ns.models.iaf_psc_exp(), name="cell")
    net.inject(cell[1], ns.StepCurrent([1.0, 3.0], [250.0, 0.0]))
    results = ns.simulate(net, 4.0, record=[ns.State(cell, ["V_m"], 0.1)], engine=engine)
    v = results.traces["cell"]["V_m"]
    t = np.arange(1, 41) * 0.1
    rising = -70.0 + 10.0 * -np.expm1(-np.clip(t - 1.0, 0.0, 2.0) / 10.0)
    expected = -70.0 + (rising + 70.0) * np.exp(-np.clip(t - 3.0, 0.0, None) / 10.0)
    np.testing.assert_allclose(v[:, 1], expected, atol=1e-12)
    np.testing.assert_array_equal(v[:, 0], -70.0)


class timed(ns.NeuronModel):
    """A leaky neuron that notes when it spiked."""

    V_m = ns.state("mV")
    when = ns.state("ms", init=-1.0)
    equations = "dV_m/dt = -V_m/10[ms] : mV\n dwhen/dt = -when/1000[ms] : ms"
    receptors = {"exc": "V_m += weight"}
    threshold = "V_m > 5[mV]"
    reset = "V_m = 0[mV]; when = t"


class alarm(timed):
    threshold = "t > 4.95[ms] and t < 5.15[ms]"


class within(timed):
    """What is above threshold at the beginning of a step spikes after its first substep."""

    method, threshold_test = "rk45", "substep"
    equations = "dV_m/dt = 1[mV/ms]*(1 + (V_m/1[mV])**2) : mV"
    receptors = {"exc": "V_m += weight"}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_time_in_a_reset_is_the_end_of_the_step(engine):
    results = driven(timed(), [3.0, 7.5], 8.0, engine, states=("when",))
    assert results.spikes["cell"].times == pytest.approx([4.0, 8.5])
    assert at(results, "when", 4.0) == pytest.approx(4.0)
    assert at(results, "when", 8.5) == pytest.approx(8.5)


@pytest.mark.parametrize("method", ["rk4", "rk45"])
@pytest.mark.parametrize("engine", ENGINES[:2])
def test_the_time_in_a_threshold_is_the_end_of_the_step(engine, method):
    model = type("alarm", (alarm,), {"equations": "dV_m/dt = -V_m**3/1[ms*mV*mV] : mV"})
    for chosen in (alarm(), model(method=method)):
        results = driven(chosen, [1.0], 0.0, engine, states=("when",))
        assert results.spikes["cell"].times == pytest.approx([5.0, 5.1])
        assert at(results, "when", 5.1) == pytest.approx(5.1)


@pytest.mark.parametrize("engine", ENGINES[:2])
def test_the_time_within_a_step_is_that_of_the_substep(engine):
    # V = tan t in ms: it passes 5 at arctan 5 = 1.3734 and begins anew
    results = driven(within(), [15.0], 0.0, engine, states=("when",))
    crossed = at(results, "when", 1.4)
    assert np.arctan(5.0) < crossed < np.arctan(5.0) + 0.02
    assert crossed < 1.4
    assert results.spikes["cell"].times[0] == pytest.approx(1.4)


class counting(ns.NeuronModel):
    """A sum that input raises: no equation, so no step that adapts."""

    V_th = ns.param(1.0, "1")
    V_m = ns.state("1")
    receptors = {"in": "V_m += weight"}
    threshold = "V_m >= V_th"
    reset = "V_m = 0"
    method = "rk45"
    threshold_test = "substep"


@pytest.mark.parametrize("engine", ENGINES[:2])
def test_without_equations_the_threshold_is_tested_once_a_step(engine):
    results = driven(counting(), [1.0, 2.0, 3.0, 4.0], 0.6, engine)
    assert results.spikes["cell"].times == pytest.approx([3.0, 5.0])
