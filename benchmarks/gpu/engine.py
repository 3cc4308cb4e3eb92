"""The engine: checks that it computes the same, and the times of issue 5."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from gpu import networks
from gpu.place import EMULATION, ROOT, Place, Row, guarded, real_time_factor

#: Ways to run that must give the same spikes; the first is what the others are compared with.
_WAYS = ({"launch": "cooperative"}, {"launch": "graph"}, {"launch": "phases"},
         {"variant": "owner"})  # fmt: skip
#: Other options of the microcircuit.
_OPTIONS: tuple[dict[str, Any], ...] = (
    {"deterministic": True}, {"deterministic": "int32"},
    {"deterministic": "int32", "variant": "owner"}, {"procedural": True},
    {"weights": "float16"}, {"precision": "float64"},
)  # fmt: skip
Spikes = tuple[np.ndarray, np.ndarray]


def tests(place: Place) -> Iterator[Row]:
    """The tests marked gpu."""
    marked = [p for p in (ROOT / "tests").rglob("test_*.py") if "pytest.mark.gpu" in p.read_text()]
    files = [str(path) for path in place.size(marked, [EMULATION / "test_on_gpu.py"])]
    command = [sys.executable, "-m", "pytest", "-vv", "-m", "gpu", "-p", "no:cacheprovider", *files]
    # as they come: what has passed counts if there is no time for all
    ran = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert ran.stdout is not None
    line = ""
    for line in map(str.strip, ran.stdout):
        outcome = re.search(r"(\S*::.*) (PASSED|FAILED|ERROR)\b", line)
        if outcome is not None:
            yield Row(outcome[1][:200], outcome[2] == "PASSED")
        elif line.startswith(("E  ", "FAILED", "ERROR")):
            yield Row("pytest says", line[:300])
    complete = place.emulated or ("passed" in line and "skipped" not in line)
    yield Row(f"pytest -m gpu: {line}", ran.wait() == 0 and complete)


def _network(place: Place) -> tuple[Any, list[Any], float]:
    """Return a network, what to record of it, and how long to run [ms]."""
    import neurosim as ns

    n, duration = place.size((20_000, 30.0), (150, 5.0))
    net = networks.drawn(ns, n)
    return net, [ns.Spikes(net.populations["cells"])], duration


def _spikes(simulation: Any, duration: float) -> Spikes:
    simulation.run(duration)
    found = simulation.results.spikes["cells"]
    return found.times, found.ids


def _equal(a: Spikes, b: Spikes) -> bool:
    return all(bool(np.array_equal(x, y)) for x, y in zip(a, b, strict=True))


def same(place: Place) -> Iterator[Row]:
    """Deterministic runs are the same with every launch and variant."""
    net, record, duration = _network(place)
    for precision in place.size(("float32", "float64"), ("float32",)):
        expected: list[Spikes] = []
        for ways in _WAYS:
            label = f"{precision}, {', '.join(ways.values())}"

            def compared(
                ways: Any = ways, label: str = label, precision: str = precision,
                expected: list[Spikes] = expected,
            ) -> Iterator[Row]:  # fmt: skip
                options = {"precision": precision, "deterministic": True} | ways
                found = _spikes(place.simulation(net, record, 3, **options), duration)
                if not expected:
                    yield Row(f"{label}: spikes", float(found[0].size))
                expected.append(found)
                yield Row(f"{label}: the same", _equal(found, expected[0]) and found[0].size > 0)

            yield from guarded(label, compared)


def same_as_cpu(place: Place) -> Iterator[Row]:
    """Deterministic runs are the same as on the CPU."""
    import neurosim as ns

    net, record, duration = _network(place)
    for precision in place.size(("float32", "float64"), ("float32",)):

        def compared(precision: str = precision) -> Iterator[Row]:
            exact = {"precision": precision, "deterministic": True}
            found = _spikes(place.simulation(net, record, 3, **exact), duration)
            engine = ns.CPU(**exact)
            cpu = ns.Simulation(net, dt=0.1, seed=3, record=record, engine=engine)
            yield Row(
                f"{precision}: spikes of the CPU engine", _equal(found, _spikes(cpu, duration))
            )

        yield from guarded(precision, compared)


def compile_for_cpu() -> None:
    """Compile the kernels that `same_as_cpu` needs on the CPU, which are kept on disk."""
    import neurosim as ns

    net, record, _ = _network(Place(True))
    for precision in ("float32", "float64"):
        engine = ns.CPU(precision=precision, deterministic=True)
        ns.simulate(net, 1.0, dt=0.1, seed=3, record=record, engine=engine)


def sanitizer(place: Place) -> Iterator[Row]:
    """compute-sanitizer on a small network."""
    tool = shutil.which("compute-sanitizer")
    if tool is None and not place.emulated:
        yield Row("compute-sanitizer", "not installed")
        return
    code = (
        "import sys; sys.path[:0] = ['benchmarks', 'examples']; import neurosim as ns; "
        "from gpu import networks, place; "
        f"s = place.Place({place.emulated}).simulation(networks.drawn(ns, {place.size(2000, 50)}));"
        "s.run(2.0)"
    )
    for name in ("memcheck", "racecheck", "synccheck"):
        wrapper = [] if place.emulated else [str(tool), "--tool", name, "--error-exitcode", "9"]
        done = subprocess.run(
            [*wrapper, sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        said = (done.stdout + done.stderr).strip()
        if "Device not supported" in said:
            yield Row("compute-sanitizer", "does not work on this machine: Device not supported")
            return
        yield Row(f"compute-sanitizer --tool {name}", done.returncode == 0)
        if done.returncode:
            yield Row(f"{name}", said[-300:])
        if place.emulated:
            return


def too_large(place: Place) -> Iterator[Row]:
    """A cooperative grid that does not fit is refused with our own error."""
    import neurosim as ns
    from neurosim.errors import EngineUnavailableError

    runner = place.simulation(networks.drawn(ns, 100))._runner
    if place.emulated:  # it holds any number of blocks
        yield Row("a grid too large is refused", "not on the emulator")
        return
    runner._grid = replace(runner._grid, blocks=10**6)
    try:
        runner.advance(1.0)
        refused = False
    except EngineUnavailableError as error:
        refused = True
        yield Row("its message", str(error))
    yield Row("a grid too large is refused", refused)


def microcircuit(place: Place) -> Iterator[Row]:
    """The cortical microcircuit at full scale, in cooperative launches."""
    import neurosim as ns

    net = networks.circuit(ns, place.size(1.0, 0.002))
    simulation = place.simulation(net)
    yield Row("first build, with compiling", _built(simulation), "s")
    del simulation
    simulation = place.simulation(net)
    yield Row("built on the device", _built(simulation), "s", at_most=1.0)
    yield Row("memory", simulation.counters["bytes"] / 2**30, "GiB")
    yield from _timed(place, simulation, "cooperative", 0.08)


def microcircuit_graph(place: Place) -> Iterator[Row]:
    """The microcircuit as a captured graph, and with a launch for each phase."""
    yield from _circuits(place, ({"launch": "graph"}, 0.08), ({"launch": "phases"}, None))


def microcircuit_owner(place: Place) -> Iterator[Row]:
    """The microcircuit with states in registers and input to come in shared memory."""
    yield from _circuits(place, ({"variant": "owner"}, 0.06))


def microcircuit_ways(place: Place) -> Iterator[Row]:
    """The microcircuit with other sums, weights, and rows drawn again."""
    yield from _circuits(
        place, *((options, None) for options in place.size(_OPTIONS, _OPTIONS[:2]))
    )


def _circuits(place: Place, *cases: tuple[dict[str, Any], float | None]) -> Iterator[Row]:
    """Build and time the microcircuit with some options each; what fails does not stop the rest."""
    import neurosim as ns

    net = networks.circuit(ns, place.size(1.0, 0.002))
    for options, limit in cases:
        label = ", ".join(f"{name}={value!r}" for name, value in options.items())

        def timed(
            options: Any = options, limit: float | None = limit, label: str = label
        ) -> Iterator[Row]:
            simulation = place.simulation(net, **options)
            yield Row(f"{label}: built", _built(simulation), "s")
            yield Row(f"{label}: memory", simulation.counters["bytes"] / 2**30, "GiB")
            yield from _timed(place, simulation, label, limit)

        yield from guarded(label, timed)


def _timed(place: Place, simulation: Any, label: str, limit: float | None) -> Iterator[Row]:
    """Run ten seconds of model time, or what takes eight seconds."""
    factor, ran = real_time_factor(simulation, place.size(10_000.0, 2.0), 8.0)
    yield Row(f"{label}: real-time factor", factor, at_most=limit)
    rate = simulation.counters["spikes"] / _neurons(simulation) / simulation.time * 1e3
    yield Row(f"{label}: mean rate", rate, "spikes/s")
    yield Row(f"{label}: model time", ran / 1e3, "s")


def microcircuit_details(place: Place) -> Iterator[Row]:
    """The microcircuit with other numbers of blocks, and the phases of a step alone."""
    import neurosim as ns

    simulation = place.simulation(networks.circuit(ns, place.size(1.0, 0.002)))
    simulation.run(place.size(200.0, 1.0))
    yield from guarded("blocks", lambda: _blocks(place, simulation))
    yield from guarded("phases", lambda: _phases(place, simulation))


def _built(simulation: Any) -> float:
    return float(simulation.counters["seconds"]["build"])


def _neurons(simulation: Any) -> int:
    return sum(p.n for p in simulation.plan.populations if p.model is not None)


def _blocks(place: Place, simulation: Any) -> Iterator[Row]:
    """Other numbers of blocks a multiprocessor than the engine's own."""
    runner = simulation._runner
    if place.emulated:  # its number of blocks is given
        return
    device = runner._device
    for each in (1, 2, 3, 4, 6, 8):
        device.blocks_each = each
        grid = runner._network.program.grid(runner._network.layout.n_tiles, cooperative=True)
        runner._grid = grid
        factor, _ = real_time_factor(simulation, 2000.0, 2.0)
        name = f"cooperative, {grid.blocks} blocks ({each} a multiprocessor at most)"
        yield Row(f"{name}: real-time factor", factor)


def _phases(place: Place, simulation: Any) -> Iterator[Row]:
    """The phases of a step alone, as nodes of a graph; the simulation is of no use afterwards."""
    runner, n = simulation._runner, place.size(200, 2)
    network, program = runner._network, runner._network.program
    one = np.int32(1)
    for name, kernel, arguments in (
        ("update", "update", (network.net, one)),
        ("deliver what the last step sent", "after", (network.net, one, one)),
        ("drive", "drive", (network.net,)),
    ):
        replay = program.capture([(kernel, arguments)] * n, runner._grid)
        seconds = place.seconds(replay, lambda: runner._device.fetch(network.status), 3)
        yield Row(f"{name}: a launch in a graph", seconds / n * 1e6, "us")


def balanced(place: Place) -> Iterator[Row]:
    """A million neurons and a billion synapses."""
    import neurosim as ns

    net = networks.balanced(ns, place.size(1_000_000, 200), place.size(1000, 20))
    simulation = place.simulation(net)
    yield Row("built on the device", _built(simulation), "s")
    yield Row("memory", simulation.counters["bytes"] / 2**30, "GiB")
    factor, ran = real_time_factor(simulation, place.size(10_000.0, 2.0), 20.0)
    rate = simulation.counters["spikes"] / _neurons(simulation) / simulation.time * 1e3
    yield Row("mean rate", rate, "spikes/s")
    yield Row("model time", ran / 1e3, "s")
    yield Row("real-time factor", factor, at_most=1.0)


def plastic(place: Place) -> Iterator[Row]:
    """The balanced network with plastic excitatory synapses, and without."""
    import neurosim as ns

    n, k = place.size((12_500, 1250), (120, 20))
    rule = ns.models.stdp(lambda_=0.01, Wmax=2 * networks.J * networks.K / k)
    for label, synapse in (("static", None), ("pair STDP", rule)):

        def timed(label: str = label, synapse: Any = synapse) -> Iterator[Row]:
            simulation = place.simulation(networks.balanced(ns, n, k, synapse))
            yield Row(f"{label}: built", _built(simulation), "s")
            factor, _ = real_time_factor(simulation, place.size(10_000.0, 2.0), 8.0)
            yield Row(f"{label}: real-time factor", factor)

        yield from guarded(label, timed)


def fly_brain(place: Place) -> Iterator[Row]:
    """The surrogate of the fly brain while its sugar neurons are active."""
    import neurosim as ns

    simulation = place.simulation(networks.fly_brain(ns, place.size(1, 400)))
    yield Row("built on the device", _built(simulation), "s")
    factor, ran = real_time_factor(simulation, place.size(10_000.0, 2.0), 10.0)
    yield Row("spikes a second", simulation.counters["spikes"] / simulation.time * 1e3, "1/s")
    yield Row("model time", ran / 1e3, "s")
    yield Row("real-time factor", factor, at_most=0.02)
