"""The engine: checks that it computes the same, and the times of issue 5."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from gpu import networks
from gpu.place import EMULATION, ROOT, Place, Row, real_time_factor

_LAUNCHES = ("cooperative", "graph", "phases")
#: Ways to run that must give the same spikes.
_WAYS = [*({"launch": name} for name in _LAUNCHES), {"variant": "owner"}]
#: Options of the microcircuit, and the real-time factor that was asked for.
_OPTIONS: tuple[tuple[dict[str, Any], float | None], ...] = (
    ({"variant": "owner"}, 0.06), ({"procedural": True}, None), ({"weights": "float16"}, None),
    ({"deterministic": True}, None), ({"precision": "float64"}, None),
)  # fmt: skip


def tests(place: Place) -> Iterator[Row]:
    """The tests marked gpu."""
    marked = [p for p in (ROOT / "tests").rglob("test_*.py") if "pytest.mark.gpu" in p.read_text()]
    files = [str(path) for path in place.size(marked, [EMULATION / "test_on_gpu.py"])]
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    for line in lines:
        if line.startswith(("FAILED", "ERROR")):
            yield Row(line[:200], False)
    summary = lines[-1] if lines else done.stderr.strip()[-200:]
    complete = place.emulated or ("passed" in summary and "skipped" not in summary)
    yield Row(f"pytest -m gpu: {summary}", done.returncode == 0 and complete)


def same(place: Place) -> Iterator[Row]:
    """Deterministic runs are the same with every launch, and as on the CPU."""
    import neurosim as ns
    from neurosim.errors import NetworkError, NetworkSizeError

    n, duration = place.size((20_000, 30.0), (150, 5.0))

    def spikes(simulation: Any) -> tuple[np.ndarray, np.ndarray]:
        simulation.run(duration)
        found = simulation.results.spikes["cells"]
        return found.times, found.ids

    net = networks.drawn(ns, n)
    record = [ns.Spikes(net.populations["cells"])]
    for precision in place.size(("float64", "float32"), ("float32",)):
        exact = {"precision": precision, "deterministic": True}
        engine = ns.CPU(**exact)
        times, ids = spikes(ns.Simulation(net, dt=0.1, seed=3, record=record, engine=engine))
        yield Row(f"{precision}: spikes compared", float(ids.size))
        for ways in _WAYS:
            if not hasattr(ns.GPU, next(iter(ways))):
                continue
            label = ", ".join(ways.values())
            try:
                found = spikes(place.simulation(net, record, 3, **exact, **ways))
            except (NetworkError, NetworkSizeError) as error:
                yield Row(f"{precision}, {label}", f"refused: {error}")
                continue
            equal = np.array_equal(found[0], times) and np.array_equal(found[1], ids)
            yield Row(f"{precision}, {label}: spikes of the CPU engine", bool(equal))


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
        yield Row(f"compute-sanitizer --tool {name}", done.returncode == 0)
        if done.returncode:
            yield Row(f"{name}", (done.stdout + done.stderr).strip()[-300:])
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
    """The cortical microcircuit at full scale: building, launches, blocks, kinds of sums."""
    import neurosim as ns

    net = networks.circuit(ns, place.size(1.0, 0.002))
    model_ms = place.size(10_000.0, 2.0)
    simulation = place.simulation(net)
    yield Row("first build, with compiling", _built(simulation), "s")
    del simulation
    simulation = place.simulation(net)
    yield Row("built on the device", _built(simulation), "s", at_most=1.0)
    yield Row("memory", simulation.counters["bytes"] / 2**30, "GiB")
    for launch in _LAUNCHES:
        if launch != "cooperative":
            simulation = place.simulation(net, launch=launch)
        factor, ran = real_time_factor(simulation, model_ms, 8.0)
        limit = None if launch == "phases" else 0.08
        yield Row(f"{launch}: real-time factor", factor, at_most=limit)
        if launch == "cooperative":
            rate = simulation.counters["spikes"] / _neurons(simulation) / simulation.time * 1e3
            yield Row("mean rate", rate, "spikes/s")
            yield Row("model time", ran / 1e3, "s")
            yield from _blocks(place, simulation)
            yield from _phases(place, simulation)
        del simulation


def microcircuit_ways(place: Place) -> Iterator[Row]:
    """The microcircuit with other options: states in registers, weights, sums, rows drawn again."""
    import neurosim as ns
    from neurosim.errors import NetworkError, NetworkSizeError

    net = networks.circuit(ns, place.size(1.0, 0.002))
    for options, limit in place.size(_OPTIONS, _OPTIONS[:2]):
        if not hasattr(ns.GPU, next(iter(options))):
            continue
        label = ", ".join(f"{name}={value!r}" for name, value in options.items())
        try:
            simulation = place.simulation(net, **options)
        except (NetworkError, NetworkSizeError) as error:
            yield Row(label, f"refused: {error}")
            continue
        yield Row(f"{label}: built", _built(simulation), "s")
        yield Row(f"{label}: memory", simulation.counters["bytes"] / 2**30, "GiB")
        factor, _ = real_time_factor(simulation, place.size(10_000.0, 2.0), 8.0)
        yield Row(f"{label}: real-time factor", factor, at_most=limit)
        del simulation


def _built(simulation: Any) -> float:
    return float(simulation.counters["seconds"]["build"])


def _neurons(simulation: Any) -> int:
    return sum(p.n for p in simulation.plan.populations if p.model is not None)


def _blocks(place: Place, simulation: Any) -> Iterator[Row]:
    """Other numbers of blocks a multiprocessor than the engine's own."""
    runner = simulation._runner
    if place.emulated:
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
    from neurosim.errors import NetworkError

    n, k = place.size((12_500, 1250), (120, 20))
    rule = ns.models.stdp(lambda_=0.01, Wmax=2 * networks.J * networks.K / k)
    for label, synapse in (("static", None), ("pair STDP", rule)):
        try:
            simulation = place.simulation(networks.balanced(ns, n, k, synapse))
        except NetworkError as error:
            yield Row(label, f"refused: {error}")
            continue
        factor, _ = real_time_factor(simulation, place.size(10_000.0, 2.0), 8.0)
        yield Row(f"{label}: real-time factor", factor)


def fly_brain(place: Place) -> Iterator[Row]:
    """The surrogate of the fly brain while its sugar neurons are active."""
    import neurosim as ns

    simulation = place.simulation(networks.fly_brain(ns, place.size(1, 400)))
    yield Row("built on the device", _built(simulation), "s")
    factor, ran = real_time_factor(simulation, place.size(10_000.0, 2.0), 10.0)
    yield Row("spikes a second", simulation.counters["spikes"] / simulation.time * 1e3, "1/s")
    yield Row("model time", ran / 1e3, "s")
    yield Row("real-time factor", factor, at_most=0.02)
