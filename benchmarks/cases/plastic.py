"""The balanced random network with pair STDP on all synapses between excitatory neurons."""

from __future__ import annotations

from typing import Any

from case import Built, Case

from .balanced import (
    C_EX,
    C_IN,
    DELAY,
    N_EX,
    N_IN,
    NEURON,
    RATE,
    T_REF,
    TAU_M,
    V_RESET,
    V_TH,
    G,
    J,
    N,
)  # fmt: skip

TAU, LAMBDA, W_MAX = 20.0, 0.01, 2 * J  # ms, 1, mV


def build_neurosim(ns: Any) -> Any:
    net = ns.Network()
    cells = net.population(N, ns.models.iaf_psc_delta(**NEURON), name="cells", V_m=0.0)
    ex, in_ = cells[:N_EX], cells[N_EX:]
    net.poisson_input(cells, rate=RATE, n=C_EX, weight=J)
    rule = ns.models.stdp(tau_plus=TAU, tau_minus=TAU, lambda_=LAMBDA, Wmax=W_MAX)
    net.connect(ex, ex, ns.FixedIndegree(C_EX), weight=J, delay=DELAY, name="ee", synapse=rule)
    net.connect(ex, in_, ns.FixedIndegree(C_EX), weight=J, delay=DELAY, name="ei")
    net.connect(in_, cells, ns.FixedIndegree(C_IN), weight=-G * J, delay=DELAY, name="in")
    return net


def build_nest(nest: Any) -> Built:
    cells = nest.Create("iaf_psc_delta", N, params=NEURON | {"V_m": 0.0, "tau_minus": TAU})
    drive = nest.Create("poisson_generator", params={"rate": RATE * C_EX})
    nest.Connect(drive, cells, "all_to_all", {"weight": J, "delay": DELAY})
    ex, in_ = cells[:N_EX], cells[N_EX:]
    stdp = {
        "synapse_model": "stdp_synapse", "weight": J, "delay": DELAY, "tau_plus": TAU,
        "lambda": LAMBDA, "Wmax": W_MAX,
    }  # fmt: skip
    nest.Connect(ex, ex, {"rule": "fixed_indegree", "indegree": C_EX}, stdp)
    for pre, post, k, weight in ((ex, in_, C_EX, J), (in_, cells, C_IN, -G * J)):
        rule = {"rule": "fixed_indegree", "indegree": k}
        nest.Connect(pre, post, rule, {"weight": weight, "delay": DELAY})
    return Built(populations={"cells": cells}, out_degrees={"cells": C_EX + C_IN})


def build_brian2(b2: Any) -> Built:
    mV, ms = b2.mV, b2.ms
    values = {
        "V_th": V_TH * mV, "V_reset": V_RESET * mV, "tau_m": TAU_M * ms, "w_ex": J * mV,
        "w_in": -G * J * mV, "tau": TAU * ms, "rate": LAMBDA, "w_max": W_MAX * mV,
    }  # fmt: skip
    cells = b2.NeuronGroup(
        N, "dv/dt = -v / tau_m : volt (unless refractory)", threshold="v >= V_th",
        reset="v = V_reset", refractory=T_REF * ms, method="exact", namespace=values,
    )  # fmt: skip
    drive = b2.PoissonInput(cells, "v", N=C_EX, rate=RATE * b2.Hz, weight=J * mV)
    ee = b2.Synapses(
        cells[:N_EX], cells[:N_EX],
        "w : volt\ndx/dt = -x/tau : 1 (event-driven)\ndy/dt = -y/tau : 1 (event-driven)",
        on_pre={"pre": "v_post += w", "learn": "x += 1; w = clip(w - rate*w*y, 0*volt, w_max)"},
        on_post="y += 1; w = clip(w + rate*(w_max - w)*x, 0*volt, w_max)",
        delay={"pre": DELAY * ms}, namespace=values,
    )  # fmt: skip
    ee.connect(p=C_EX / N_EX)
    ee.w = J * mV
    ei = b2.Synapses(
        cells[:N_EX], cells[N_EX:], on_pre="v += w_ex", delay=DELAY * ms, namespace=values
    )
    ei.connect(p=C_EX / N_EX)
    in_ = b2.Synapses(cells[N_EX:], cells, on_pre="v += w_in", delay=DELAY * ms, namespace=values)
    in_.connect(p=C_IN / N_IN)
    return Built(
        populations={"cells": cells},
        out_degrees={"cells": C_EX + C_IN},
        objects=(drive, ee, ei, in_),
    )


CASES = {
    "balanced_stdp": Case(
        title="balanced random network, 12,500 neurons, pair STDP on 10 million E-to-E synapses",
        drive=f"independent Poisson input of {RATE * C_EX:.0f} spikes/s to every neuron, as in the "
        "static network; multiplicative STDP (tau 20 ms, lambda 0.01, Wmax twice the initial "
        "weight); in Brian2 the learning statements run without the delay of 1.5 ms",
        neurons=N, synapses=N * (C_EX + C_IN), warmup_ms=100.0, model_ms=300.0, limit_s=600.0,
        neurosim=build_neurosim, nest=build_nest, brian2=build_brian2,
        required={"brian2": 5.0, "nest": 5.0}, limits={"rtf": 8.0},
    )
}  # fmt: skip
