"""Training steps on CUDA tensors beside other libraries, where they are installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from gpu.place import Place, Row

sys.path.append(str(Path(__file__).resolve().parents[1] / "training"))

#: Other libraries of each case of `training/shapes.py`, and the factor that is asked for.
_PEERS = {
    "shd": {"snntorch": 20.0, "spikingjelly": 1.5},
    "delays": {"dcls": 8.0},
}


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
    ours = yield from _timed(place, case, "neurosim", device)
    for other, factor in _PEERS[name].items():
        try:
            theirs = yield from _timed(place, case, other, device)
        except ImportError as error:
            yield Row(other, f"not installed ({error})")
            continue
        asked = None if place.emulated else factor
        yield Row(f"{other} over neurosim", theirs / ours, at_least=asked)


def _timed(place: Place, case: Any, library: str, device: Any) -> Iterator[Row]:
    """Yield the time of a training step, and return it [ms]."""
    step, described = _step(case, library, device)
    wait = (lambda: None) if device.type == "cpu" else _synchronize
    step()
    start = perf_counter()
    step()
    wait()
    n = place.size(max(1, min(50, int(1.0 / (perf_counter() - start)))), 1)

    def steps() -> None:
        for _ in range(n):
            step()

    milliseconds = place.seconds(steps, wait, place.size(5, 1)) / n * 1e3
    yield Row(f"{library}{described}: a training step", milliseconds, "ms")
    return milliseconds


def _synchronize() -> None:
    import torch

    torch.cuda.synchronize()


def _step(case: Any, library: str, device: Any) -> tuple[Any, str]:
    """Return a function that does a training step with a library, and how it computes."""
    import torch
    from implementations import BUILDERS

    torch.manual_seed(0)
    x, targets = (torch.from_numpy(a).to(device) for a in case.data())
    model = BUILDERS[library](case)
    for module in model.modules:
        module.to(device)
    described = _fastest_backend(model.modules) if device.type == "cuda" else ""
    optimizer = torch.optim.Adam(model.parameters, lr=1e-4)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(model.run(x).mean(0), targets)
        loss.backward()
        optimizer.step()

    return step, described


def _fastest_backend(modules: Sequence[Any]) -> str:
    """Let SpikingJelly's neurons use their fastest backend, and name it."""
    cells = [c for m in modules for c in m.modules() if hasattr(c, "supported_backends")]
    for backend in ("triton", "cupy"):
        if cells and all(backend in cell.supported_backends for cell in cells):
            for cell in cells:
                cell.backend = backend
            return f" ({backend})"
    return ""
