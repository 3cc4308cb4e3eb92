"""Fly brain of Shiu et al. (2024) on a surrogate wiring with the published counts.

The surrogate and the model are those of `examples/fly_brain.py`. The share of local connections is
tuned so that stimulating 21 neurons at 150 Hz makes about 400 fire, as in the brain.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from case import SEED, Built, Case

sys.path.append(str(Path(__file__).parents[2] / "examples"))
from _fly_surrogate import N_EDGES, N_STIMULATED, N, draw_edges

GROUP, LOCAL = 430, 0.38  # neurons a group; share of connections inside groups
PREFERENCE = 0.4  # how much further up local excitatory connections are in the order by count

V_0, V_RESET, V_TH, TAU_M, TAU_G = -52.0, -52.0, -45.0, 20.0, 5.0  # mV, ms
T_REF, DELAY, JUMP, RATE = 2.2, 1.8, 0.275, 150.0  # ms, ms, mV a synapse, Hz
KICK = 250 * JUMP  # mV
FOLDER = Path(tempfile.gettempdir()) / f"neurosim_bench_fly_{SEED}_{GROUP}_{LOCAL}_{PREFERENCE}"


def prepare() -> None:
    """Draw the wiring once, for all simulators."""
    if (FOLDER / "count.npy").exists():
        return
    FOLDER.mkdir(exist_ok=True)
    drawn = draw_edges(SEED, GROUP, LOCAL, PREFERENCE)
    for name, values in zip(("pre", "post", "count"), drawn, strict=True):
        np.save(FOLDER / f"{name}.npy", values)


def edges() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pre and post ids and weight [mV] of every connection, sorted by pre."""
    prepare()
    pre, post, count = (np.load(FOLDER / f"{name}.npy") for name in ("pre", "post", "count"))
    return pre, post, count * JUMP


def refractory_times() -> np.ndarray:
    """Return t_ref [ms] of every neuron: none for the stimulated ones, which come first."""
    return np.where(np.arange(N) < N_STIMULATED, 0.0, T_REF)


def build_neurosim(ns: Any) -> Any:
    from fly_brain import fly_lif

    net = ns.Network()
    cells = net.population(N, fly_lif(t_ref=refractory_times()), name="cells")
    net.poisson_input(cells[:N_STIMULATED], rate=RATE, n=1, weight=KICK, receptor="kick")
    pre, post, weight = edges()
    rule = ns.Explicit(pre, post)
    net.connect(cells, cells, rule, weight=weight, delay=DELAY, receptor="exc", name="brain")
    return net


def build_brian2(b2: Any) -> Built:
    mV, ms = b2.mV, b2.ms
    values = {
        "v_0": V_0 * mV, "v_reset": V_RESET * mV, "v_th": V_TH * mV,
        "tau_m": TAU_M * ms, "tau_g": TAU_G * ms,
    }  # fmt: skip
    cells = b2.NeuronGroup(
        N,
        """dv/dt = (v_0 - v + g) / tau_m : volt (unless refractory)
           dg/dt = -g / tau_g : volt (unless refractory)
           t_ref : second""",
        threshold="v > v_th", reset="v = v_reset; g = 0*volt", refractory="t_ref",
        method="exact", namespace=values,
    )  # fmt: skip
    cells.v, cells.t_ref = V_0 * mV, refractory_times() * ms
    drive = b2.PoissonInput(cells[:N_STIMULATED], "v", N=1, rate=RATE * b2.Hz, weight=KICK * mV)
    pre, post, weight = edges()
    brain = b2.Synapses(cells, cells, "w : volt", on_pre="g += w", delay=DELAY * ms)
    brain.connect(i=pre, j=post)
    brain.w = weight * mV
    out_degree = np.bincount(pre, minlength=N)
    return Built(
        populations={"cells": cells}, out_degrees={"cells": out_degree}, objects=(drive, brain)
    )


CASES = {
    "fly": Case(
        title="fly brain surrogate, 138,639 neurons, 14.7 million connections, 1 s",
        drive=f"{N_STIMULATED} neurons get a strong Poisson input of {RATE:.0f} spikes/s each; all "
        "else is silent; the same connection list in both",
        neurons=N, synapses=N_EDGES, warmup_ms=100.0, model_ms=1000.0, prepare=prepare,
        neurosim=build_neurosim, brian2=build_brian2,
        absent={"nest": "left out: no built-in model holds both states and loses input while "
                "refractory"},
        required={"brian2": 30.0}, limits={"rtf": 1.0},
    )
}  # fmt: skip
