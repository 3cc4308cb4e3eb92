"""Training steps on CUDA tensors beside other libraries, where they are installed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from gpu.place import Place, Row, guarded

sys.path.append(str(Path(__file__).resolve().parents[1] / "training"))

#: Other libraries of each case of `training/shapes.py`, and the factor that is asked for.
_PEERS = {
    "shd": {"snntorch": 20.0, "spikingjelly": 1.5},
    "delays": {"dcls": 8.0},
}
#: Backends of SpikingJelly's neurons, which DCLS uses as well; the fastest counts.
_BACKENDS = {"spikingjelly": ("triton", "cupy", "torch"), "dcls": ("triton", "cupy", "torch")}


def shd(place: Place) -> Iterator[Row]:
    """Layers 700-256-256-20, batch 128, 100 steps."""
    yield from _compared(place, "shd")


def delays(place: Place) -> Iterator[Row]:
    """The same with a learned delay a synapse."""
    yield from _compared(place, "delays")


def _compared(place: Place, name: str) -> Iterator[Row]:
    import torch
    from shapes import CASES

    if not (place.emulated or torch.cuda.is_available()):
        yield Row("training on CUDA tensors", f"PyTorch {torch.__version__} sees no GPU")
        return
    case = CASES[name]
    if place.emulated:
        case = replace(case, steps=4, batch=2)
    device = torch.device("cpu" if place.emulated else "cuda")
    yield Row("PyTorch", torch.__version__)
    best: dict[str, float] = {}
    for library in ("neurosim", *_PEERS[name]):
        for backend in place.size(_BACKENDS.get(library, ("",)), ("",)):

            def timed(library: str = library, backend: str = backend) -> Iterator[Row]:
                found = yield from _timed(place, case, library, device, backend)
                if found is not None:
                    best[library] = min(found, best.get(library, found))

            yield from guarded(f"{library} {backend}".strip(), timed)
    for other, factor in _PEERS[name].items():
        if {other, "neurosim"} <= set(best):
            asked = None if place.emulated else factor
            yield Row(f"{other} over neurosim", best[other] / best["neurosim"], at_least=asked)


def _timed(
    place: Place, case: Any, library: str, device: Any, backend: str
) -> Generator[Row, None, float | None]:
    """Yield the time of a training step, and return it [ms]."""
    label = f"{library} ({backend})" if backend else library
    try:
        step = _step(case, library, device, backend)
    except ImportError as error:
        yield Row(label, f"not installed ({error})")
        return None
    if step is None:
        yield Row(label, "has no such backend here")
        return None
    wait = (lambda: None) if device.type == "cpu" else _synchronize
    step()
    wait()
    start = perf_counter()
    step()
    wait()
    n = place.size(max(1, min(50, int(1.0 / (perf_counter() - start)))), 1)

    def steps() -> None:
        for _ in range(n):
            step()

    milliseconds = place.seconds(steps, wait, place.size(5, 1)) / n * 1e3
    yield Row(f"{label}: a training step", milliseconds, "ms")
    return milliseconds


def _synchronize() -> None:
    import torch

    torch.cuda.synchronize()


def _step(case: Any, library: str, device: Any, backend: str) -> Callable[[], None] | None:
    """Return a function that does a training step with a library; None without the backend."""
    import torch
    from implementations import BUILDERS

    torch.manual_seed(0)
    x, targets = (torch.from_numpy(a).to(device) for a in case.data())
    model = BUILDERS[library](case)
    for module in model.modules:
        module.to(device)
    if backend and device.type == "cuda":
        cells = [c for m in model.modules for c in m.modules() if hasattr(c, "supported_backends")]
        if not cells or not all(backend in cell.supported_backends for cell in cells):
            return None
        for cell in cells:
            cell.backend = backend
    optimizer = torch.optim.Adam(model.parameters, lr=1e-4)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(model.run(x).mean(0), targets)
        loss.backward()
        optimizer.step()

    return step
