"""The kernels that build and draw rows touch nothing out of bounds, and do not race."""

from __future__ import annotations

import pytest
from emulator import Emulated, EmulatedDevice
from test_emulation_layer import python

import neurosim as ns

_CODE = """
from test_build_sanitized import run_every_rule
run_every_rule({sanitizer!r}, {flags!r})
print("finished")
"""


def run_every_rule(sanitizer: str | None, flags: tuple[str, ...] = ()) -> None:
    """Build rows of every rule with sanitized kernels, and deliver stored and drawn ones."""
    net = ns.Network()
    source = net.population(
        40, ns.models.spike_source(times=[0.1] * 40, ids=range(40)), name="source"
    )
    cells = net.population(70, ns.models.iaf_psc_exp(), name="cells")
    varied = {"weight": ns.Normal(0.0, 50.0), "delay": ns.Uniform(0.1, 1.0)}
    for rule in (
        ns.FixedProbability(0.3), ns.FixedOutdegree(20, multapses=False), ns.FixedIndegree(5),
        ns.AllToAll(), ns.FixedTotalNumber(100), ns.FixedTotalNumber(300, multapses=False),
        ns.Explicit(range(40), [7] * 40),
    ):  # fmt: skip
        net.connect(source[::-1], cells, rule, **varied)
    net.connect(source, cells, ns.FixedProbability(0.2), weight=1.0, delay=0.5)
    device = EmulatedDevice(5, blocks=2, sanitizer=sanitizer, flags=("-DNS_SORT_BYTES=256", *flags))
    # half of the rules are drawn again, the others stored
    engine = Emulated(precision="float32", device=device, procedural=True)
    simulation = ns.Simulation(net, engine=engine)
    simulation.run(1.2)
    assert simulation.counters["synaptic_events"] > 5000


@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_rows_are_built_within_bounds_and_without_races(sanitizer):
    done = python(_CODE.format(sanitizer=sanitizer, flags=()), sanitizer)
    assert done.stdout == "finished\n", done.stderr[-3000:]
    assert "WARNING" not in done.stderr


def test_planted_mistakes_are_found():
    # a row that is begun again before the last of its counts was read
    done = python(_CODE.format(sanitizer="thread", flags=("-DNS_PLANT_RACE=2",)), "thread")
    assert "ThreadSanitizer: data race" in done.stderr
    assert "build.cu" in done.stderr
