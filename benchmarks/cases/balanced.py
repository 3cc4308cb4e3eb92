"""Balanced random network (Brunel 2000): voltage-jump synapses and independent Poisson drive."""

from __future__ import annotations

from typing import Any

from case import Built, Case

N_EX, N_IN, C_EX, C_IN = 10_000, 2_500, 1_000, 250
N = N_EX + N_IN
TAU_M, T_REF, V_TH, V_RESET, DELAY = 20.0, 2.0, 20.0, 10.0, 1.5  # ms, mV
J, G, ETA = 0.1, 5.0, 1.82  # mV; eta sets the rate: 32 spikes/s
RATE = ETA * V_TH / (J * C_EX * TAU_M) * 1e3  # Hz of each of the C_EX external trains
NEURON = {
    "E_L": 0.0, "V_th": V_TH, "V_reset": V_RESET, "tau_m": TAU_M, "t_ref": T_REF, "C_m": 1.0,
    "I_e": 0.0,
}  # fmt: skip


def build_neurosim(ns: Any) -> Any:
    net = ns.Network()
    cells = net.population(N, ns.models.iaf_psc_delta(**NEURON), name="cells", V_m=0.0)
    ex, in_ = cells[:N_EX], cells[N_EX:]
    net.poisson_input(cells, rate=RATE, n=C_EX, weight=J)
    net.connect(ex, cells, ns.FixedIndegree(C_EX), weight=J, delay=DELAY, name="ex")
    net.connect(in_, cells, ns.FixedIndegree(C_IN), weight=-G * J, delay=DELAY, name="in")
    return net


def build_nest(nest: Any) -> Built:
    cells = nest.Create("iaf_psc_delta", N, params=NEURON | {"V_m": 0.0})
    drive = nest.Create("poisson_generator", params={"rate": RATE * C_EX})
    nest.Connect(drive, cells, "all_to_all", {"weight": J, "delay": DELAY})
    for pre, k, weight in ((cells[:N_EX], C_EX, J), (cells[N_EX:], C_IN, -G * J)):
        rule = {"rule": "fixed_indegree", "indegree": k}
        nest.Connect(pre, cells, rule, {"weight": weight, "delay": DELAY})
    return Built(populations={"cells": cells}, out_degrees={"cells": C_EX + C_IN})


def build_brian2(b2: Any) -> Built:
    mV, ms = b2.mV, b2.ms
    values = {
        "V_th": V_TH * mV, "V_reset": V_RESET * mV, "tau_m": TAU_M * ms,
        "w_ex": J * mV, "w_in": -G * J * mV,
    }  # fmt: skip
    cells = b2.NeuronGroup(
        N, "dv/dt = -v / tau_m : volt (unless refractory)", threshold="v >= V_th",
        reset="v = V_reset", refractory=T_REF * ms, method="exact", namespace=values,
    )  # fmt: skip
    drive = b2.PoissonInput(cells, "v", N=C_EX, rate=RATE * b2.Hz, weight=J * mV)
    ex = b2.Synapses(cells[:N_EX], cells, on_pre="v += w_ex", delay=DELAY * ms, namespace=values)
    ex.connect(p=C_EX / N_EX)
    in_ = b2.Synapses(cells[N_EX:], cells, on_pre="v += w_in", delay=DELAY * ms, namespace=values)
    in_.connect(p=C_IN / N_IN)
    return Built(
        populations={"cells": cells},
        out_degrees={"cells": C_EX + C_IN},
        objects=(drive, ex, in_),
    )


CASES = {
    "balanced": Case(
        title="balanced random network, 12,500 neurons, 15.6 million synapses",
        drive=f"independent Poisson input of {RATE * C_EX:.0f} spikes/s to every neuron, drawn in "
        "every step in all three (poisson_input, poisson_generator, PoissonInput); delay 1.5 ms; "
        "in-degrees fixed in neurosim and NEST, binomial in Brian2, whose own fixed in-degrees run "
        "at half the speed",
        neurons=N, synapses=N * (C_EX + C_IN), warmup_ms=200.0, model_ms=2000.0,
        neurosim=build_neurosim, nest=build_nest, brian2=build_brian2,
        required={"brian2": 2.5, "nest": 7.0},
    )
}  # fmt: skip
