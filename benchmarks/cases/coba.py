"""COBA of Brette et al. (2007): leaky neurons with synaptic conductances, no drive."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import SEED, Built, Case

N, N_EX, P = 4000, 3200, 0.02
E_L, V_TH, V_RESET, E_EX, E_IN = -60.0, -50.0, -60.0, 0.0, -80.0  # mV
C_M, G_L, T_REF, TAU_EX, TAU_IN = 200.0, 10.0, 5.0, 5.0, 10.0  # pF, nS, ms
W_EX, W_IN, DELAY = 6.0, 67.0, 1.5  # nS, nS, ms


def start() -> dict[str, np.ndarray]:
    """Return the potentials [mV] and conductances [nS] that every simulator starts with.

    The paper draws V from -60 to -50 mV, from where two networks in three fall silent within
    150 ms in all three simulators; from E_IN to V_TH nine in ten go on.
    """
    rng = np.random.default_rng(SEED)
    return {
        "V_m": rng.uniform(E_IN, V_TH, N),
        "g_ex": np.clip(10.0 * (4.0 + 1.5 * rng.standard_normal(N)), 0.0, None),
        "g_in": np.clip(10.0 * (20.0 + 12.0 * rng.standard_normal(N)), 0.0, None),
    }


def build_neurosim(ns: Any) -> Any:
    net = ns.Network()
    model = ns.models.iaf_cond_exp(
        E_L=E_L, V_th=V_TH, V_reset=V_RESET, E_ex=E_EX, E_in=E_IN, C_m=C_M, g_L=G_L, t_ref=T_REF,
        tau_syn_ex=TAU_EX, tau_syn_in=TAU_IN, method="exponential_euler",
    )  # fmt: skip
    cells = net.population(N, model, name="cells", **start())
    rule = ns.FixedProbability(P)
    net.connect(cells[:N_EX], cells, rule, weight=W_EX, delay=DELAY, receptor="exc", name="ex")
    net.connect(cells[N_EX:], cells, rule, weight=W_IN, delay=DELAY, receptor="inh", name="in")
    return net


def build_nest(nest: Any) -> Built:
    cells = nest.Create("iaf_cond_exp", N, params={
        "E_L": E_L, "V_th": V_TH, "V_reset": V_RESET, "E_ex": E_EX, "E_in": E_IN, "C_m": C_M,
        "g_L": G_L, "t_ref": T_REF, "tau_syn_ex": TAU_EX, "tau_syn_in": TAU_IN, "I_e": 0.0,
    })  # fmt: skip
    cells.set(start())
    rule = {"rule": "pairwise_bernoulli", "p": P}
    nest.Connect(cells[:N_EX], cells, rule, {"weight": W_EX, "delay": DELAY})
    nest.Connect(cells[N_EX:], cells, rule, {"weight": -W_IN, "delay": DELAY})
    return Built(populations={"cells": cells}, out_degrees={"cells": P * N})


def build_brian2(b2: Any) -> Built:
    mV, ms, nS = b2.mV, b2.ms, b2.nS
    values = {
        "E_L": E_L * mV, "V_th": V_TH * mV, "V_reset": V_RESET * mV, "E_ex": E_EX * mV,
        "E_in": E_IN * mV, "C_m": C_M * b2.pF, "g_L": G_L * nS, "tau_ex": TAU_EX * ms,
        "tau_in": TAU_IN * ms, "w_ex": W_EX * nS, "w_in": W_IN * nS,
    }  # fmt: skip
    cells = b2.NeuronGroup(
        N,
        """dv/dt = (g_L*(E_L - v) + ge*(E_ex - v) + gi*(E_in - v)) / C_m : volt (unless refractory)
           dge/dt = -ge / tau_ex : siemens
           dgi/dt = -gi / tau_in : siemens""",
        threshold="v > V_th", reset="v = V_reset", refractory=T_REF * ms,
        method="exponential_euler", namespace=values,
    )  # fmt: skip
    first = start()
    cells.v, cells.ge, cells.gi = first["V_m"] * mV, first["g_ex"] * nS, first["g_in"] * nS
    ex = b2.Synapses(cells[:N_EX], cells, on_pre="ge += w_ex", delay=DELAY * ms, namespace=values)
    ex.connect(p=P)
    in_ = b2.Synapses(cells[N_EX:], cells, on_pre="gi += w_in", delay=DELAY * ms, namespace=values)
    in_.connect(p=P)
    return Built(populations={"cells": cells}, out_degrees={"cells": P * N}, objects=(ex, in_))


CASES = {
    "coba": Case(
        title="COBA, 4,000 neurons",
        drive="none: self-sustained from the given start; delay 1.5 ms; exponential Euler in "
        "neurosim and Brian2, adaptive Runge-Kutta-Fehlberg (the only one) in NEST",
        neurons=N, synapses=int(P * N * N), warmup_ms=200.0, model_ms=2000.0,
        shorter={"nest": 1000.0}, neurosim=build_neurosim, nest=build_nest, brian2=build_brian2,
        required={"brian2": 6.0, "nest": 40.0},
    )
}  # fmt: skip
