"""Injected currents reach every equation that uses their parameter, or are refused."""

import numpy as np
import pytest

import neurosim as ns
from neurosim.errors import ModelError

ENGINES = ["reference", "cpu"]


def final(model, parameter, engine, state="x"):
    net = ns.Network()
    cell = net.population(1, model, name="cell")
    net.inject(cell, ns.StepCurrent(times=[0.0, 1.0], values=[2.0, 3.0]), parameter=parameter)
    record = [ns.State(cell, [state], interval=2.0)]
    return ns.simulate(net, 2.0, record=record, engine=engine).traces["cell"][state][-1, 0]


class counter(ns.NeuronModel):
    I_e = ns.param(0.5, "1")
    equations = "x := x + I_e : 1"


class quadratic(ns.NeuronModel):
    I_e = ns.param(1.0, "1")
    equations = "dx/dt = I_e**2/1[ms] : 1"


class gated(ns.NeuronModel):
    rate = ns.param(0.0, "1/ms")
    x = ns.state("1", init=1.0)
    equations = "dx/dt = -rate*x : 1"


@pytest.mark.parametrize("engine", ENGINES)
def test_current_into_a_map(engine):
    """Ten steps with 0.5 + 2, ten with 0.5 + 3."""
    assert final(counter(), "I_e", engine) == pytest.approx(10 * 2.5 + 10 * 3.5, rel=1e-14)


@pytest.mark.parametrize("engine", ENGINES)
def test_current_that_enters_nonlinearly(engine):
    """1 ms of (1 + 2)**2, 1 ms of (1 + 3)**2; not linearised around I_e."""
    assert final(quadratic(), "I_e", engine) == pytest.approx(9 + 16, rel=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_current_that_multiplies_a_state(engine):
    """exp(-2 - 3); integrated by RK4 instead of exactly."""
    assert final(gated(), "rate", engine) == pytest.approx(np.exp(-5.0), rel=1e-3)


def test_current_into_a_threshold_is_refused():
    with pytest.raises(ModelError, match="cannot be injected into V_th, which the threshold uses"):
        final(ns.models.iaf_psc_exp(), "V_th", "reference", "V_m")


def test_current_into_a_reset_is_refused():
    with pytest.raises(ModelError, match=r"V_reset, which the reset 'V_m = V_reset' uses"):
        final(ns.models.iaf_psc_exp(), "V_reset", "reference", "V_m")


def test_current_that_would_do_nothing_is_refused():
    with pytest.raises(ModelError, match=r"injected into t_ref would do nothing.*such as I_e"):
        final(ns.models.iaf_psc_exp(), "t_ref", "reference", "V_m")
