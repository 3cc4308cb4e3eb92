"""Small random networks for the conformance tests: every kind of population, input and synapse.

The kinds are few, so that each kernel compiles once; numbers are drawn from continuous
distributions, so that no two arrivals tie at the threshold.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import neurosim as ns

DT = 0.1
DURATION = 40.0
#: Cells whose neurons can sleep, and cells that are stepped in every step.
SLEEPING = ("lif", "lif_varied", "delta", "mat", "glif")
STEPPED = ("tau_varied", "izhikevich", "conductance", "noisy")
#: Cells that currents are injected into (always, and both receptors of every cell are used always,
#: so that a kind has one kernel).
INJECTED = ("lif_varied", "delta", "tau_varied", "noisy")


class noisy(ns.NeuronModel):
    """A leaky integrator with white noise, the model of a user."""

    tau = ns.param(15.0, "ms", gt=0)
    sigma = ns.param(4.0, "mV")
    E_L = ns.param(-70.0, "mV")
    V_th = ns.param(-60.0, "mV")
    t_ref = ns.param(1.0, "ms", ge=0)
    I_e = ns.param(0.0, "mV/ms")
    V_m = ns.state("mV", init="E_L")
    equations = "dV_m/dt = (E_L - V_m)/tau + I_e + sigma*sqrt(2/tau)*xi : mV"
    receptors = {"in": "V_m += weight"}
    threshold = "V_m >= V_th"
    reset = "V_m = E_L"
    refractory = ns.Refractory("t_ref", hold=["V_m"])


def cell(kind: str, n: int) -> tuple[Any, dict[str, Any], float]:
    """Return a model, initial values, and the weight that moves its membrane by about 10 mV."""
    m = ns.models
    scattered = {"V_m": ns.Uniform(-70.0, -56.0)}
    if kind == "lif":
        return m.iaf_psc_exp(), scattered, 1500.0
    if kind == "lif_varied":
        model = m.iaf_psc_exp(
            I_e=ns.Normal(300.0, 60.0), V_th=ns.Normal(-55.0, 1.0), t_ref=ns.Uniform(0.1, 3.0)
        )
        return model, scattered, 1200.0
    if kind == "tau_varied":
        return (
            m.iaf_psc_exp(tau_m=ns.Uniform(8.0, 20.0), C_m=ns.Normal(250.0, 5.0)),
            scattered,
            1500.0,
        )
    if kind == "delta":
        return m.iaf_psc_delta(V_reset=-62.0), scattered, 9.0
    if kind == "mat":
        return m.mat2_psc_exp(), scattered, 900.0
    if kind == "glif":
        return m.glif5_psc(I_e=150.0), {"V_m": ns.Uniform(-80.0, -60.0)}, 700.0
    if kind == "izhikevich":
        return m.izhikevich(), {"V_m": ns.Uniform(-65.0, -55.0)}, 12.0
    if kind == "conductance":
        return m.iaf_cond_exp(), scattered, 40.0
    return noisy(), {}, 6.0


@st.composite
def networks(draw: Any, kinds: tuple[str, ...] = SLEEPING + STEPPED) -> dict[str, Any]:
    """Draw the description of a network (see `build`)."""
    number = st.integers(0, 2**31 - 1)
    return {
        "cells": draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=3)),
        "sources": draw(st.lists(st.sampled_from(_SOURCES), max_size=3, unique=True)),
        "inputs": draw(st.lists(st.sampled_from(("dense", "sparse", "slice", "some")), max_size=2)),
        "currents": draw(st.lists(st.sampled_from(("step", "noise", "held noise")), max_size=2)),
        "shortest": draw(st.sampled_from((9, 1, 4, 30, 70))),  # delay [steps]: the stride
        "numbers": draw(number),
        "seed": draw(st.integers(0, 1000)),
    }


_SOURCES = ("spikes", "poisson", "varied poisson", "changing poisson", "parrot", "second parrot")


def build(description: dict[str, Any]) -> ns.Network:
    """Return the network of a description."""
    rng = np.random.default_rng(description["numbers"])
    net = ns.Network()
    cells = []
    for k, kind in enumerate(description["cells"]):
        n = int(rng.integers(1, 90))
        model, initial, weight = cell(kind, n)
        cells.append((net.population(n, model, name=f"{kind} {k}", **initial), weight))
    shortest = description.get("shortest", 1)
    sources = [_source(net, kind, rng) for kind in description["sources"]]
    for population, weight in cells:
        _drive(net, population, weight, description["inputs"], rng)
        if population.name.startswith(INJECTED):
            _inject(net, population, description["currents"], rng)
    for pre in [*sources, *(p for p, _ in cells)]:
        for post, weight in cells:
            _connect(net, pre, post, weight, pre in sources, shortest, rng)
        _connect_parrots(net, pre, sources, shortest, rng)
    return net


def _connect_parrots(
    net: ns.Network, pre: Any, sources: list[Any], shortest: int, rng: Any
) -> None:
    """Connect a population to the parrots, but no parrot to one that comes before it: no loops."""
    before = sources.index(pre) if pre in sources else -1
    for k, parrot in enumerate(sources):
        if parrot.model.is_source or (before >= k and not pre.model.is_source):
            continue
        delay = _delay(shortest, rng)
        net.connect(pre, parrot, ns.FixedProbability(0.05), delay=delay)
        if pre in sources:  # the same synapse several times: several spikes at once
            ids = rng.integers(0, pre.n, 2), rng.integers(0, parrot.n, 2)
            net.connect(pre, parrot, ns.Explicit(*(np.repeat(i, 3) for i in ids)), delay=delay)


def _source(net: ns.Network, kind: str, rng: np.random.Generator) -> Any:
    m, n = ns.models, int(rng.integers(1, 40))
    if kind == "spikes":
        count = int(rng.integers(0, 120))
        steps = rng.integers(1, round(DURATION / DT), count)
        ids = rng.integers(0, n, count)
        times = np.concatenate([steps, steps[: count // 4]]) * DT  # some twice in one step
        return net.population(
            n, m.spike_source(times=times, ids=np.concatenate([ids, ids[: count // 4]])), name=kind
        )
    if kind == "poisson":
        return net.population(n, m.poisson(rate=float(rng.uniform(5, 200))), name=kind)
    if kind == "varied poisson":
        return net.population(n, m.poisson(rate=rng.uniform(0, 300, n)), name=kind)
    if kind == "changing poisson":
        model = m.inhomogeneous_poisson(times=[2.0, 11.0, 30.05], rates=rng.uniform(0, 200, 3))
        return net.population(n, model, name=kind)
    return net.population(n, m.parrot(), name=kind)


def _drive(net: ns.Network, target: Any, weight: float, kinds: list[str], rng: Any) -> None:
    for sign in (1.0, -1.0):
        net.poisson_input(target, rate=0.0, weight=sign)
    for kind in kinds:
        rate, n, view = float(rng.uniform(5, 20)), 1, target
        size = float(rng.uniform(0.5, 2.0)) * weight
        if kind == "dense":
            rate, n, size = float(rng.uniform(1500, 4000)), 3, 0.03 * size
        elif kind == "slice":
            first = int(rng.integers(0, target.n))
            view = target[first : first + int(rng.integers(1, target.n + 1))]
            rate = float(rng.choice([8.0, 3000.0]))
            size *= 0.1 if rate > 100 else 1.0
        elif kind == "some":
            view = target[rng.permutation(target.n)[: int(rng.integers(1, target.n + 1))]]
        net.poisson_input(view, rate=rate, n=n, weight=size * rng.choice([1.0, 1.0, -0.5]))


def _inject(net: ns.Network, target: Any, kinds: list[str], rng: Any) -> None:
    unit = 0.5 if target.name.startswith("noisy") else 300.0
    net.inject(target, ns.StepCurrent([0.0, 25.0], [0.0, 0.3 * unit]))
    for kind in kinds:
        view = (
            target if rng.random() < 0.5 else target[rng.permutation(target.n)[: target.n // 2 + 1]]
        )
        if kind == "step":
            times = np.sort(rng.choice(np.arange(300), 3, replace=False)) * DT
            current: Any = ns.StepCurrent(times, rng.uniform(-1, 2, 3) * unit)
        elif kind == "noise":
            current = ns.NoiseCurrent(0.5 * unit, unit, start=5.0, stop=20.0)
        else:
            current = ns.NoiseCurrent(0.2 * unit, unit, dt=1.3, start=1.0, stop=34.5)
        net.inject(view, current)


def _delay(shortest: int, rng: Any) -> Any:
    first = shortest * DT
    longer = float(rng.integers(shortest, shortest + 40)) * DT
    return [longer, ns.Uniform(first, first + 4.0), first][int(rng.integers(3))]


def _connect(
    net: ns.Network, pre: Any, post: Any, weight: float, source: bool, shortest: int, rng: Any
) -> None:
    size = float(rng.uniform(0.3, 1.2)) * weight * (1.0 if source else 0.5)
    weights = [size, -0.5 * size, ns.Normal(0.5 * size, 0.4 * size), ns.Uniform(-0.3 * size, size)]
    chosen, delay = weights[int(rng.integers(4))], _delay(shortest, rng)
    case = int(rng.integers(6))
    left, right = pre, post
    if rng.random() < 0.3:
        left, right = pre[rng.permutation(pre.n)[: pre.n // 2 + 1]], post[post.n // 3 :]
    rule: Any = [
        ns.FixedProbability(0.1), ns.FixedIndegree(2), ns.FixedOutdegree(3),
        ns.FixedTotalNumber(50), None, None,
    ][case]  # fmt: skip
    if case == 4:
        count = int(rng.integers(0, 150))
        rule = ns.Explicit(rng.integers(0, left.n, count), rng.integers(0, right.n, count))
        chosen = rng.normal(0.5 * size, size, count)
        delay = rng.integers(shortest, shortest + 60, count) * DT
    elif case == 5:
        return
    net.connect(left, right, rule, weight=chosen, delay=delay)
