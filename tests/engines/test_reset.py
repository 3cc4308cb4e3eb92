"""Simulation.reset(): trials one after another are as if each began alone."""

import numpy as np
import pytest

import neurosim as ns
from neurosim.errors import SimulationError

ENGINES = ["reference", ns.CPU(strategy="clock"), ns.CPU(strategy="event"), ns.CPU(threads=2)]


def network(times):
    """Spikes onto a recurrent network with delays that reach beyond a trial."""
    net = ns.Network()
    source = net.population(1, ns.models.spike_source(times=times), name="source")
    cells = net.population(40, ns.models.iaf_psc_exp(t_ref=3.0), name="cells", V_m=-60.0)
    net.connect(source, cells, weight=2000.0, delay=1.0)
    net.connect(cells, cells, ns.FixedIndegree(10), weight=900.0, delay=ns.Uniform(1.0, 15.0))
    return net


@pytest.mark.parametrize("engine", ENGINES, ids=["reference", "clock", "event", "threads"])
def test_every_trial_repeats_the_first(engine):
    sim = ns.Simulation(
        net := network([2.0, 27.0, 52.0]), record=[ns.Spikes(net.populations["cells"])],
        engine=engine,
    )  # fmt: skip
    for _ in range(3):
        sim.run(25.0)
        sim.reset()
    spikes = sim.results.spikes["cells"]
    trials = [spikes.window(25.0 * k, 25.0 * (k + 1)) for k in range(3)]
    assert len(trials[0]) > 60
    for k, trial in enumerate(trials):
        np.testing.assert_array_equal(trial.ids, trials[0].ids)
        np.testing.assert_allclose(trial.times - 25.0 * k, trials[0].times, atol=1e-9)


def test_without_reset_the_trials_differ():
    sim = ns.Simulation(
        net := network([2.0, 27.0]), record=[ns.Spikes(net.populations["cells"])],
        engine="reference",
    )  # fmt: skip
    sim.run(50.0)
    spikes = sim.results.spikes["cells"]
    assert len(spikes.window(0.0, 25.0)) != len(spikes.window(25.0, 50.0))


def test_continuous_time_cannot_be_reset():
    sim = ns.Simulation(network([2.0]), dt=None)
    with pytest.raises(SimulationError, match="begin a new simulation"):
        sim.reset()
