"""Active-dendrite segments: 1.28 million coincidence detectors with sparse input."""

from __future__ import annotations

from functools import partial
from typing import Any

from case import Case

N, SEGMENTS, SYNAPSES = 10_000, 128, 32
SOURCES, THETA = 10_000, 12.0


def build_neurosim(ns: Any, rate: float) -> Any:
    net = ns.Network()
    inputs = net.population(SOURCES, ns.models.poisson(rate=rate), name="inputs")
    cells = net.population(N, ns.models.iaf_psc_exp_dendrite(), name="cells")
    net.segments(cells, SEGMENTS, ns.models.segment(theta=THETA), weight=50.0)
    rule = ns.FixedIndegree(SYNAPSES)
    net.connect(inputs, cells, rule, receptor="segment", weight=1.0, delay=1.0)
    return net


def _case(rate: float, **options: Any) -> Case:
    return Case(
        title=f"10,000 neurons with 128 segments of 32 synapses each, input of {rate:g} spikes/s"
        if not options
        else "the same, half the rate",
        drive=f"{SOURCES} Poisson trains, {SYNAPSES} of them onto every segment",
        neurons=N * (SEGMENTS + 1), synapses=N * SEGMENTS * (SYNAPSES + 1),
        warmup_ms=200.0, model_ms=2000.0, neurosim=partial(build_neurosim, rate=rate),
        absent=dict.fromkeys(("nest", "brian2"), "has no dendritic segments as such"), **options,
    )  # fmt: skip


CASES = {
    "segments": _case(1.0),
    "segments_half": _case(0.5, share_of=("segments", 0.55)),
}
