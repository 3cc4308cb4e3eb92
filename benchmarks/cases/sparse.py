"""Sparse activity: 100,000 neurons of which only a few thousand fire in a second."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from case import DT, SEED, Built, Case

N, N_EX, OUT_DEGREE = 100_000, 80_000, 100
E_L, V_TH, V_RESET = -65.0, -50.0, -65.0  # mV
TAU_M, TAU_SYN, T_REF, C_M = 20.0, 2.0, 5.0, 200.0  # ms, pF
W_EX, W_IN, KICK = 30.0, -120.0, 4000.0  # pA: potentials of +0.23, -0.93 and (alone) +31 mV
DELAY = 1.5  # ms
START = 10.0  # pA; currents decay from here, so that a silent network passes the denormals
NEURON = {"E_L": E_L, "V_th": V_TH, "V_reset": V_RESET, "tau_m": TAU_M, "C_m": C_M, "t_ref": T_REF}
WARMUP, DURATION = 2000.0, 3000.0  # ms; a current is below 1e-308 pA after 1.4 s


def forced(rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and grid times [ms] of the spikes that are forced: Poisson, sorted by time."""
    rng = np.random.default_rng(SEED)
    steps = round((WARMUP + DURATION) / DT) - 20
    n = rng.poisson(N * rate * steps * DT * 1e-3)
    drawn = np.unique(rng.integers(1, steps, n) * N + rng.integers(0, N, n))
    return drawn % N, (drawn // N) * DT


def count_forced(start: float, stop: float, rate: float) -> int:
    """Return how many spikes are forced in an interval [ms]."""
    times = forced(rate)[1]
    return int(((times > start) & (times <= stop)).sum())


def start_voltages() -> np.ndarray:
    """Return the membrane potentials [mV] that every simulator starts with."""
    return np.random.default_rng(SEED).uniform(E_L, E_L + 5.0, N)


def build_neurosim(ns: Any, rate: float) -> Any:
    net = ns.Network()
    model = ns.models.iaf_psc_exp(**NEURON, tau_syn_ex=TAU_SYN, tau_syn_in=TAU_SYN, I_e=0.0)
    first = {"V_m": start_voltages(), "I_syn_ex": START, "I_syn_in": -START}
    cells = net.population(N, model, name="cells", **first)
    rule = ns.FixedOutdegree(OUT_DEGREE)
    net.connect(cells[:N_EX], cells, rule, weight=W_EX, delay=DELAY, name="ex")
    net.connect(cells[N_EX:], cells, rule, weight=W_IN, delay=DELAY, name="in")
    if rate:
        ids, times = forced(rate)
        drive = net.population(N, ns.models.spike_source(times=times, ids=ids), name="drive")
        each = np.arange(N)
        net.connect(drive, cells, ns.Explicit(each, each), weight=KICK, delay=DELAY, name="kick")
    return net


def build_nest(nest: Any, rate: float) -> Built:
    time_constants = {"tau_syn_ex": TAU_SYN, "tau_syn_in": TAU_SYN}
    # The model gives no access to its currents; the start is their potential's alone.
    cells = nest.Create("iaf_psc_exp", N, params={**NEURON, **time_constants, "I_e": 0.0})
    cells.V_m = start_voltages()
    rule = {"rule": "fixed_outdegree", "outdegree": OUT_DEGREE}
    nest.Connect(cells[:N_EX], cells, rule, {"weight": W_EX, "delay": DELAY})
    nest.Connect(cells[N_EX:], cells, rule, {"weight": W_IN, "delay": DELAY})
    if rate:
        ids, times = forced(rate)
        order = np.argsort(ids, kind="stable")
        driven, first = np.unique(ids[order], return_index=True)
        trains = np.split(np.round(times[order], 1), first[1:])
        drive = nest.Create("spike_generator", len(driven))
        drive.set([{"spike_times": train} for train in trains])
        targets = cells[driven.tolist()]
        nest.Connect(drive, targets, "one_to_one", {"weight": KICK, "delay": DELAY})
    return Built(populations={"cells": cells}, out_degrees={"cells": OUT_DEGREE})


def build_brian2(b2: Any, rate: float) -> Built:
    mV, ms, pA = b2.mV, b2.ms, b2.pA
    values = {
        "E_L": E_L * mV, "V_th": V_TH * mV, "V_reset": V_RESET * mV, "tau_m": TAU_M * ms,
        "tau_syn": TAU_SYN * ms, "C_m": C_M * b2.pF, "w_ex": W_EX * pA, "w_in": W_IN * pA,
        "kick": KICK * pA,
    }  # fmt: skip
    cells = b2.NeuronGroup(  # one current serves both signs, as their time constants are equal
        N,
        """dv/dt = (E_L - v) / tau_m + I / C_m : volt (unless refractory)
           dI/dt = -I / tau_syn : amp""",
        threshold="v > V_th", reset="v = V_reset", refractory=T_REF * ms,
        method="exact", namespace=values,
    )  # fmt: skip
    cells.v, cells.I = start_voltages() * mV, START * pA
    sparse = {"p": OUT_DEGREE / N}
    ex = b2.Synapses(cells[:N_EX], cells, on_pre="I += w_ex", delay=DELAY * ms, namespace=values)
    ex.connect(**sparse)
    in_ = b2.Synapses(cells[N_EX:], cells, on_pre="I += w_in", delay=DELAY * ms, namespace=values)
    in_.connect(**sparse)
    objects = [ex, in_]
    if rate:
        ids, times = forced(rate)
        drive = b2.SpikeGeneratorGroup(N, ids, times * ms)
        kick = b2.Synapses(drive, cells, on_pre="I += kick", delay=DELAY * ms, namespace=values)
        kick.connect(j="i")
        objects += [drive, kick]
    return Built(
        populations={"cells": cells}, out_degrees={"cells": OUT_DEGREE}, objects=tuple(objects)
    )


def _case(rate: float, **options: Any) -> Case:
    return Case(
        title=f"sparse activity, 100,000 neurons with 100 synapses each, {rate:g} spikes/s"
        if rate
        else "the same, silent",
        drive="a list of spikes drawn once (Poisson, one train a neuron), given to all simulators, "
        "each making its neuron fire once through one strong synapse: spike_source, "
        "spike_generator (only for neurons that have a spike), SpikeGeneratorGroup; recurrent "
        "synapses stay below threshold" if rate else "none; the start decays to rest",
        neurons=N, synapses=N * OUT_DEGREE, warmup_ms=WARMUP, model_ms=DURATION,
        neurosim=partial(build_neurosim, rate=rate), brian2=partial(build_brian2, rate=rate),
        nest=partial(build_nest, rate=rate), generated=partial(count_forced, rate=rate), **options,
    )  # fmt: skip


_SPREAD = (
    "rows and neurons in no cache. On an EPYC with two threads the factor to real time is 0.0078 "
    "to 0.013 in processes of the same hour, with one 0.012 to 0.018; the factor to Brian2 was 57 "
    "to 83 in runs of this table there, and is 120 on a Xeon."
)
_WINDOWS = (
    "with one thread a forced spike with its 100 synapses takes 1.1 us on an EPYC and 2.3 us on a "
    "Xeon, and each of the 667 windows of a shortest delay 1.0 us besides, in which fewer spikes "
    "fetch their rows and neurons one after another (without recurrent synapses it is 0.6 us). A "
    "share of 0.12 needs windows of half that. Two threads gain little: they meet in every window. "
    "Tried without gain: neurons that are awake run on by themselves until the next input; "
    "memory is asked for a neuron as soon as its input is listed."
)
_DENORMALS = (
    "for neurosim nothing. Peers that are much slower here than at 0.1 spikes/s probably compute "
    "with denormal numbers, which cost a Xeon a hundred cycles each and an EPYC few."
)

CASES = {
    "sparse": _case(0.1, required={"brian2": 70.0}, one_thread=True, limited_by=_SPREAD),
    "sparse_tenth": _case(0.01, share_of=("sparse", 0.12), one_thread=True, limited_by=_WINDOWS),
    "sparse_silent": _case(0.0, share_of=("sparse", 0.02), limited_by=_DENORMALS),
}
