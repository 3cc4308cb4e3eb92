"""Cortical microcircuit of Potjans and Diesmann (2014), scaled in neurons and in-degrees alike."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from case import DT, SEED, Built, Case

POPULATIONS = ("L23E", "L23I", "L4E", "L4I", "L5E", "L5I", "L6E", "L6I")
SIZES = np.array([20683, 5834, 21915, 5479, 4850, 1065, 14395, 2948])
PROBABILITIES = np.array(  # rows are targets
    [
        [0.1009, 0.1689, 0.0437, 0.0818, 0.0323, 0.0, 0.0076, 0.0],
        [0.1346, 0.1371, 0.0316, 0.0515, 0.0755, 0.0, 0.0042, 0.0],
        [0.0077, 0.0059, 0.0497, 0.135, 0.0067, 0.0003, 0.0453, 0.0],
        [0.0691, 0.0029, 0.0794, 0.1597, 0.0033, 0.0, 0.1057, 0.0],
        [0.1004, 0.0622, 0.0505, 0.0057, 0.0831, 0.3726, 0.0204, 0.0],
        [0.0548, 0.0269, 0.0257, 0.0022, 0.06, 0.3158, 0.0086, 0.0],
        [0.0156, 0.0066, 0.0211, 0.0166, 0.0572, 0.0197, 0.0396, 0.2252],
        [0.0364, 0.001, 0.0034, 0.0005, 0.0277, 0.008, 0.0658, 0.1443],
    ]
)
K_EXT = np.array([1600, 1500, 2100, 1900, 2000, 1900, 2900, 2100])
RATES = np.array([0.903, 2.965, 4.414, 5.876, 7.569, 8.633, 1.105, 7.829])  # Hz, full scale
V0_MEAN = np.array([-68.28, -63.16, -63.33, -63.45, -63.11, -61.66, -66.72, -61.43])  # mV
V0_SD = np.array([5.36, 4.57, 4.74, 4.94, 4.94, 4.55, 5.46, 4.48])
TAU_SYN, RATE_EXT = 0.5, 8.0  # ms, Hz
PSC = 87.80849352920843  # pA, an excitatory potential of 0.15 mV
NEURON = {
    "C_m": 250.0, "tau_m": 10.0, "tau_syn_ex": TAU_SYN, "tau_syn_in": TAU_SYN, "E_L": -65.0,
    "V_th": -50.0, "V_reset": -65.0, "t_ref": 2.0,
}  # fmt: skip
WEIGHTS = np.tile(np.array([PSC, -4.0 * PSC] * 4), (8, 1))
WEIGHTS[0, 2] *= 2.0  # L4E to L23E
WEIGHT_SD, DELAY_SD = 0.1, 0.5  # relative
DELAY_EX, DELAY_IN = 1.5, 0.75  # ms


class Scaled:
    """The circuit at one scale: counts, weights and the current that replaces lost input."""

    def __init__(self, scale: float) -> None:
        with np.errstate(divide="ignore"):
            full = np.log1p(-PROBABILITIES) / np.log1p(-1.0 / np.outer(SIZES, SIZES))
        root = np.sqrt(scale)
        self.sizes = np.round(SIZES * scale).astype(int)
        self.synapses = np.round(full * scale**2).astype(int)
        self.weights = WEIGHTS / root
        self.weight_ext = PSC / root
        self.inputs_ext = np.round(K_EXT * scale).astype(int)
        mean_input = (WEIGHTS * full / SIZES[:, None] * RATES).sum(1) + PSC * K_EXT * RATE_EXT
        self.I_e = (1.0 - root) * TAU_SYN * 1e-3 * mean_input
        rng = np.random.default_rng(SEED)
        self.V_m = [rng.normal(*at, n) for *at, n in zip(V0_MEAN, V0_SD, self.sizes, strict=True)]

    def pairs(self) -> list[tuple[int, int, float]]:
        """Return target, source and mean delay [ms] of every connected pair of populations."""
        delays = (DELAY_EX, DELAY_IN)
        return [(t, s, delays[s % 2]) for t, s in np.argwhere(self.synapses > 0).tolist()]


def build_neurosim(ns: Any, scale: float) -> Any:
    net, circuit = ns.Network(), Scaled(scale)
    model = ns.models.iaf_psc_exp(**NEURON)
    cells = [
        net.population(int(n), model.replace(I_e=float(I_e)), name=name, V_m=V_m)
        for name, n, I_e, V_m in zip(
            POPULATIONS, circuit.sizes, circuit.I_e, circuit.V_m, strict=True
        )
    ]
    for cell, n in zip(cells, circuit.inputs_ext, strict=True):
        net.poisson_input(cell, rate=RATE_EXT, n=int(n), weight=circuit.weight_ext)
    for t, s, delay in circuit.pairs():
        w = float(circuit.weights[t, s])
        net.connect(
            cells[s], cells[t], ns.FixedTotalNumber(int(circuit.synapses[t, s])),
            weight=ns.Normal(w, WEIGHT_SD * abs(w)),
            delay=ns.Normal(delay, DELAY_SD * delay, low=DT / 2),
            name=f"{POPULATIONS[s]}_{POPULATIONS[t]}", receptor="exc",
        )  # fmt: skip
    return net


def build_nest(nest: Any, scale: float) -> Built:
    circuit, random = Scaled(scale), nest.random
    cells = []
    for n, I_e, V_m, k in zip(
        circuit.sizes, circuit.I_e, circuit.V_m, circuit.inputs_ext, strict=True
    ):
        cell = nest.Create("iaf_psc_exp", int(n), params={**NEURON, "I_e": I_e})
        cell.V_m = V_m
        drive = nest.Create("poisson_generator", params={"rate": RATE_EXT * k})
        nest.Connect(drive, cell, "all_to_all", {"weight": circuit.weight_ext, "delay": DELAY_EX})
        cells.append(cell)
    for t, s, delay in circuit.pairs():
        w = circuit.weights[t, s]
        drawn_delay = random.normal(mean=delay, std=DELAY_SD * delay)
        nest.Connect(
            cells[s], cells[t], {"rule": "fixed_total_number", "N": int(circuit.synapses[t, s])},
            {"weight": random.normal(mean=w, std=WEIGHT_SD * abs(w)),
             "delay": nest.math.redraw(drawn_delay, min=DT / 2, max=1e3)},
        )  # fmt: skip
    out_degrees = circuit.synapses.sum(0) / circuit.sizes
    return Built(
        populations=dict(zip(POPULATIONS, cells, strict=True)),
        out_degrees=dict(zip(POPULATIONS, out_degrees, strict=True)),
    )


def _case(scale: float, **options: Any) -> Case:
    circuit = Scaled(scale)
    return Case(
        title=f"cortical microcircuit, {scale:.0%} of neurons and in-degrees",
        drive="independent Poisson input (K_ext trains of 8 spikes/s) to every neuron; weights "
        "over the root of the scale, direct current for the lost mean input",
        neurons=int(circuit.sizes.sum()),
        synapses=int(circuit.synapses.sum()),
        warmup_ms=500.0,
        neurosim=partial(build_neurosim, scale=scale),
        **options,
    )


NOT_ASKED = {"brian2": "left out: NEST is the simulator this network is published for"}
_XEON = (
    "on a Xeon at 2.3 GHz a second takes 0.45 s with one thread and 0.31 s with two, which gain "
    "less than on an EPYC (why was not found: their meeting takes 0.4 us of a step's 31). The "
    "update of a neuron that drives none takes 0.54 ns there, and 0.2 ns on an EPYC."
)

CASES = {
    "microcircuit_10": _case(
        0.1, model_ms=5000.0, shorter={"nest": 1000.0}, absent=NOT_ASKED,
        nest=partial(build_nest, scale=0.1),
    ),
    "microcircuit_20": _case(
        0.2, model_ms=5000.0, shorter={"nest": 1000.0}, absent=NOT_ASKED,
        nest=partial(build_nest, scale=0.2), required={"nest": 30.0}, limited_by=_XEON,
    ),
    "microcircuit_100": _case(
        1.0, model_ms=5000.0, limit_s=600.0,
        absent=NOT_ASKED | {"nest": "left out: 299 million synapses take more than 20 GB in NEST"},
        limits={"rtf": 3.5, "build_s": 45.0, "peak_rss_mb": 6000.0},
    ),
}  # fmt: skip
