"""Neurons whose states are linear maps may sleep: fixed point, bound and powers by brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurosim as ns
from neurosim.lower.model import lower_model
from neurosim.lower.sleep import Sleep, sleep_of
from neurosim.models import param, state


class two_maps(ns.NeuronModel):
    """Two states that drive each other, and a membrane that an equation drives as well."""

    a = param(0.5, "1")
    b = param(0.2, "1")
    c = param(0.3, "1")
    tau = param(4.0, "ms")
    offset = param(0.1, "1")
    drive = param(0.0, "1")
    theta = param(5.0, "1")
    v = state("1")
    w = state("1")
    s = state("1")
    equations = """
        v := a*v - b*w + 0.5*s + offset + 2*drive : 1
        w := c*v + a*w : 1
        ds/dt = -s/tau : 1
    """
    receptors = {"in": "v += weight; s += weight"}
    threshold = "v - 0.3*w > theta"
    reset = "v = 0"


def lowered(inject=None, **values):
    model = two_maps(**values)
    return lower_model(model, model.values, {}, 1, 1.0, inject)


def step(model, x, current=0.0):
    p = model.values
    v, w, s = x
    return np.array([
        p["a"] * v - p["b"] * w + 0.5 * s + p["offset"] + 2 * current,
        p["c"] * v + p["a"] * w, s * np.exp(-1 / p["tau"]),
    ])  # fmt: skip


def test_fixed_point_stands_still():
    model = lowered("drive")
    sleep = sleep_of(model)
    for current in (0.0, 1.5):
        rest = [sleep.fixed_point.get(s, 0.0) + current * sleep.fixed_point_injected.get(s, 0.0)
                for s in ("v", "w", "s")]  # fmt: skip
        np.testing.assert_allclose(step(model, rest, current), rest, atol=1e-14)
    assert rest[0] > 3


@given(
    a=st.floats(0.0, 0.9), b=st.floats(-0.3, 0.3), c=st.floats(-0.3, 0.3), tau=st.floats(0.2, 50),
    x=st.tuples(*[st.floats(-10, 10)] * 3),
)  # fmt: skip
@settings(max_examples=30, deadline=None)
def test_bound_holds_for_every_trajectory(a, b, c, tau, x):
    model = lowered(a=a, b=b, c=c, tau=tau)
    sleep = sleep_of(model)
    if not isinstance(sleep, Sleep):  # not stable
        assert np.abs(np.linalg.eigvals([[a, -b], [c, a]])).max() > 0.99
        return
    rest = np.array([sleep.fixed_point.get(s, 0.0) for s in ("v", "w", "s")])
    z = dict(zip(("v", "w", "s"), np.array(x) - rest, strict=True))
    ceiling = rest[0] - 0.3 * rest[1] - 5.0
    ceiling += sum(max(sleep.sup[s] * z[s], sleep.inf[s] * z[s]) for s in z)
    now, highest = np.array(x), -np.inf
    for _ in range(300):
        highest = max(highest, now[0] - 0.3 * now[1] - 5.0)
        now = step(model, now)
    assert highest <= ceiling + 1e-9


def test_powers_skip_steps():
    model = lowered()
    sleep = sleep_of(model)
    x = np.array([2.0, -1.0, 3.0])
    rest = np.array([sleep.fixed_point.get(s, 0.0) for s in ("v", "w", "s")])
    names = dict(zip(("v", "w", "s"), x - rest, strict=True))
    for k in (0, 1, 7, 200):
        expected = x
        for _ in range(k):
            expected = step(model, expected)
        found = {s: rest[i] for i, s in enumerate(names)}
        for entry, (row, column) in enumerate(sleep.entries):
            found[row] += sleep.tables[0, k, entry] * names[column]
        np.testing.assert_allclose(list(found.values()), expected, atol=1e-12)


@pytest.mark.parametrize(("values", "reason"), [
    ({"a": 1.0, "b": 0.0, "c": 0.0}, "not stable"), ({"b": 5.0, "c": -5.0}, "not stable"),
    ({"a": 0.99999, "b": 0.0, "c": 0.0}, "orders of magnitude"),
])  # fmt: skip
def test_what_may_not_sleep(values, reason):
    assert reason in sleep_of(lowered(**values))


@pytest.mark.parametrize("engine", [ns.CPU(strategy="clock"), ns.CPU(strategy="event")],
                         ids=["clock", "event"])  # fmt: skip
def test_engines_agree_with_the_reference(engine):
    def spikes(engine):
        net = ns.Network()
        drive = net.population(10, ns.models.poisson(rate=30.0), name="drive")
        cells = net.population(40, two_maps(), name="cells")
        net.connect(drive, cells, ns.FixedIndegree(4), weight=4.0, delay=1.0)
        net.inject(cells[:10], ns.StepCurrent(times=[50, 120], values=[1.0, 0.0]), "drive")
        record = [ns.Spikes(cells)]
        return ns.simulate(net, 300.0, dt=1.0, record=record, engine=engine, seed=3).spikes["cells"]

    expected = spikes("reference")
    assert len(expected) > 200
    assert spikes(engine).equals(expected)
