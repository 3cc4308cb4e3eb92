"""A neuron whose fixed point is above its threshold is never safe, so it needs no event kernel."""

import numpy as np
import pytest

import neurosim as ns
from neurosim.lower.model import lower_model
from neurosim.lower.sleep import never_sleeps, sleep_of


def answer(I_e, inject=None):
    model = ns.models.iaf_psc_exp()  # 375 pA brings it to the threshold
    n = np.size(I_e)
    lowered = lower_model(model, model.values | {"I_e": I_e}, {}, n=n, dt=0.1, inject=inject)
    return never_sleeps(lowered, sleep_of(lowered))


def test_the_limit_is_the_rheobase():
    assert not answer(374.999)
    assert answer(375.001)


def test_one_quiet_neuron_is_enough_to_keep_the_event_kernels():
    assert answer(np.array([380.0, 400.0]))
    assert not answer(np.array([380.0, 0.0]))


def test_an_injected_current_could_lower_the_fixed_point():
    assert not answer(400.0, inject="I_e")


@pytest.mark.parametrize(("current", "strategy"), ((400.0, "clock"), (0.0, "event")))
def test_auto_follows(current, strategy):
    net = ns.Network()
    cells = net.population(200, ns.models.iaf_psc_exp(I_e=current), name="cells")
    simulation = ns.Simulation(net, record=[ns.Spikes(cells)])
    simulation.run(500.0)
    assert simulation.counters["strategies"] == {"cells": strategy}
    reference = ns.simulate(net, 500.0, record=[ns.Spikes(cells)], engine="reference")
    assert simulation.results.spikes["cells"].equals(reference.spikes["cells"])
