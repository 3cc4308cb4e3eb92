"""Fly brain of Shiu et al. (2024) on a surrogate wiring with the published counts.

The surrogate has as many neurons and connections as the whole brain, its histogram of synapses a
connection, its share of inhibition (a property of the presynaptic neuron), heavy-tailed in- and
out-degrees, and local groups in which the strong connections lie. The share of local connections is
tuned so that stimulating 21 neurons makes about 400 fire, as in the brain.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from case import SEED, Built, Case

N, N_STIMULATED = 138_639, 21
N_DRAWN, N_EDGES = 15_280_000, 14_687_178  # without duplicates about the published number is left
GROUP, LOCAL = 430, 0.38  # neurons a group; share of connections inside groups
PREFERENCE = 0.4  # how much further up local excitatory connections are in the order by count
DEGREE_SIGMA = 1.0  # of the log-normal in- and out-degrees
EXCITATORY = 8_800_532 / N_EDGES
COUNTS = (7_305_126, 2_611_152, 1_342_881, 813_991, 542_616)  # connections of 1 to 5 synapses
TAIL, N_TAIL, LARGEST = 2.579, 2_071_412, 2_358  # exponent, so that the synapses add up as well

V_0, V_RESET, V_TH, TAU_M, TAU_G = -52.0, -52.0, -45.0, 20.0, 5.0  # mV, ms
T_REF, DELAY, JUMP, RATE = 2.2, 1.8, 0.275, 150.0  # ms, ms, mV a synapse, Hz
KICK = 250 * JUMP  # mV
FOLDER = Path(tempfile.gettempdir()) / f"neurosim_bench_fly_{SEED}_{GROUP}_{LOCAL}_{PREFERENCE}"


def prepare() -> None:
    """Draw the wiring once, for all simulators."""
    if (FOLDER / "count.npy").exists():
        return
    FOLDER.mkdir(exist_ok=True)
    for name, values in zip(("pre", "post", "count"), draw_edges(), strict=True):
        np.save(FOLDER / f"{name}.npy", values)


def edges() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pre and post ids and weight [mV] of every connection, sorted by pre."""
    prepare()
    pre, post, count = (np.load(FOLDER / f"{name}.npy") for name in ("pre", "post", "count"))
    return pre, post, count * JUMP


def draw_edges() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pre and post ids and signed synapse counts of the surrogate."""
    rng = np.random.default_rng(SEED)
    propensity = rng.lognormal(0.0, DEGREE_SIGMA, (2, N))
    pre = rng.choice(N, N_DRAWN, p=propensity[0] / propensity[0].sum())
    post = rng.choice(N, N_DRAWN, p=propensity[1] / propensity[1].sum())
    local = rng.random(N_DRAWN) < LOCAL
    post[local] = pre[local] // GROUP * GROUP + rng.integers(0, GROUP, local.sum())
    key = np.unique(pre * N + post % N)
    pre, post = key // N, key % N
    sizes = np.arange(1, LARGEST + 1)
    tail = np.arange(6, LARGEST + 1) ** -TAIL
    share = np.concatenate([COUNTS, N_TAIL * tail / tail.sum()])
    count = np.sort(rng.choice(sizes, len(key), p=share / share.sum()))
    is_excitatory = rng.random(N) < EXCITATORY
    is_excitatory[:N_STIMULATED] = True
    excitatory = is_excitatory[pre]
    local = excitatory & (pre // GROUP == post // GROUP)
    rank = np.argsort(rng.random(len(key)) + PREFERENCE * local)
    signed = np.empty(len(key), np.int64)
    signed[rank] = count
    signed[~excitatory] *= -1
    return pre.astype(np.int32), post.astype(np.int32), signed.astype(np.int16)


def refractory_times() -> np.ndarray:
    """Return t_ref [ms] of every neuron: none for the stimulated ones, which come first."""
    return np.where(np.arange(N) < N_STIMULATED, 0.0, T_REF)


def build_neurosim(ns: Any) -> Any:
    class fly_lif(ns.NeuronModel):
        """Leaky neuron whose states stand still, and whose input is lost, while refractory."""

        tau_m = ns.param(TAU_M, "ms", gt=0, doc="membrane time constant")
        tau_g = ns.param(TAU_G, "ms", gt=0, doc="synaptic time constant")
        v_0 = ns.param(V_0, "mV", doc="resting potential")
        v_reset = ns.param(V_RESET, "mV", doc="reset potential")
        v_th = ns.param(V_TH, "mV", doc="threshold")
        t_ref = ns.param(T_REF, "ms", ge=0, doc="refractory time")
        v = ns.state("mV", init="v_0")
        g = ns.state("mV", init=0.0)
        equations = """
            dv/dt = (v_0 - v + g)/tau_m : mV
            dg/dt = -g/tau_g : mV
        """
        receptors = {"exc": "g += weight", "kick": "v += weight"}
        threshold = "v > v_th"
        reset = "v = v_reset; g = 0"
        refractory = ns.Refractory("t_ref", hold=["v", "g"], ignore=["exc"])

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
