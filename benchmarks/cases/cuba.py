"""CUBA of Brette et al. (2007): leaky neurons with exponential synaptic currents, no drive."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from case import SEED, Built, Case

E_L, V_TH, V_RESET = -49.0, -50.0, -60.0  # mV
TAU_M, TAU_EX, TAU_IN, T_REF, C_M = 20.0, 5.0, 10.0, 5.0, 200.0  # ms, pF
JUMP_EX, JUMP_IN = 1.62, -9.0  # mV; times C_M / TAU_M in pA
DELAY = 1.5  # ms
INPUTS = 80  # mean number of synapses a neuron


def start_voltages(n: int) -> np.ndarray:
    """Return the membrane potentials [mV] that every simulator starts with."""
    return np.random.default_rng(SEED).uniform(V_RESET, V_TH, n)


def build_neurosim(ns: Any, n: int) -> Any:
    net, n_ex = ns.Network(), n * 4 // 5
    model = ns.models.iaf_psc_exp(
        E_L=E_L, V_th=V_TH, V_reset=V_RESET, tau_m=TAU_M, C_m=C_M, t_ref=T_REF,
        tau_syn_ex=TAU_EX, tau_syn_in=TAU_IN, I_e=0.0,
    )  # fmt: skip
    cells = net.population(n, model, name="cells", V_m=start_voltages(n))
    rule, to_pA = ns.FixedProbability(INPUTS / n), C_M / TAU_M
    net.connect(cells[:n_ex], cells, rule, weight=JUMP_EX * to_pA, delay=DELAY, name="ex")
    net.connect(cells[n_ex:], cells, rule, weight=JUMP_IN * to_pA, delay=DELAY, name="in")
    return net


def build_nest(nest: Any, n: int) -> Built:
    n_ex, to_pA = n * 4 // 5, C_M / TAU_M
    cells = nest.Create("iaf_psc_exp", n, params={
        "E_L": E_L, "V_th": V_TH, "V_reset": V_RESET, "tau_m": TAU_M, "C_m": C_M, "t_ref": T_REF,
        "tau_syn_ex": TAU_EX, "tau_syn_in": TAU_IN, "I_e": 0.0,
    })  # fmt: skip
    cells.V_m = start_voltages(n)
    rule: dict[str, Any] = {"rule": "pairwise_bernoulli", "p": INPUTS / n}
    if n > 10_000:  # drawing all pairs takes NEST half a minute; in-degrees stay binomial
        rule = {"rule": "fixed_outdegree", "outdegree": INPUTS}
    nest.Connect(cells[:n_ex], cells, rule, {"weight": JUMP_EX * to_pA, "delay": DELAY})
    nest.Connect(cells[n_ex:], cells, rule, {"weight": JUMP_IN * to_pA, "delay": DELAY})
    return Built(populations={"cells": cells}, out_degrees={"cells": INPUTS})


def build_brian2(b2: Any, n: int) -> Built:
    n_ex, mV, ms = n * 4 // 5, b2.mV, b2.ms
    values = {
        "E_L": E_L * mV, "V_th": V_TH * mV, "V_reset": V_RESET * mV, "tau_m": TAU_M * ms,
        "tau_ex": TAU_EX * ms, "tau_in": TAU_IN * ms, "w_ex": JUMP_EX * mV, "w_in": JUMP_IN * mV,
    }  # fmt: skip
    cells = b2.NeuronGroup(
        n,
        """dv/dt = (ge + gi - (v - E_L)) / tau_m : volt (unless refractory)
           dge/dt = -ge / tau_ex : volt
           dgi/dt = -gi / tau_in : volt""",
        threshold="v > V_th", reset="v = V_reset", refractory=T_REF * ms,
        method="exact", namespace=values,
    )  # fmt: skip
    cells.v = start_voltages(n) * mV
    ex = b2.Synapses(cells[:n_ex], cells, on_pre="ge += w_ex", delay=DELAY * ms, namespace=values)
    ex.connect(p=INPUTS / n)
    in_ = b2.Synapses(cells[n_ex:], cells, on_pre="gi += w_in", delay=DELAY * ms, namespace=values)
    in_.connect(p=INPUTS / n)
    return Built(populations={"cells": cells}, out_degrees={"cells": INPUTS}, objects=(ex, in_))


def _case(n: int, **options: Any) -> Case:
    return Case(
        neurons=n,
        synapses=INPUTS * n,
        neurosim=partial(build_neurosim, n=n),
        nest=partial(build_nest, n=n),
        brian2=partial(build_brian2, n=n),
        drive="none: E_L lies 1 mV above threshold; delay 1.5 ms",
        **options,
    )


CASES = {
    "cuba": _case(
        4000, title="CUBA, 4,000 neurons", warmup_ms=200.0, model_ms=5000.0,
        required={"brian2": 3.0, "nest": 10.0},
    ),
    "cuba_first_result": _case(
        4000, title="CUBA, 4,000 neurons, 1 s: process start to result",
        warmup_ms=0.0, model_ms=1000.0, measure="result_s", required={"brian2": 8.0},
    ),
    "cuba_40000": _case(
        40_000, title="CUBA, 40,000 neurons with 80 synapses each", warmup_ms=200.0,
        model_ms=2000.0, shorter={"nest": 500.0}, required={"brian2": 3.0},
    ),
}  # fmt: skip
