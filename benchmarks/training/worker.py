"""Time one implementation of one case and print a JSON line; started by run.py.

Each peer lives in its own environment, so nothing but PyTorch is imported before it is asked for.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from implementations import BUILDERS
from shapes import CASES, Case

#: Steps after which the weights are set back: all implementations then work at the same activity,
#: however many steps they have time for.
RESTART = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", choices=CASES)
    parser.add_argument("library", choices=BUILDERS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=6.0, help="measured time at most")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    case = CASES[args.case]
    measured = measure(case, args.library, args.seconds)
    print(json.dumps({"case": args.case, "library": args.library, "threads": args.threads}
                     | measured))  # fmt: skip


def measure(case: Case, library: str, seconds: float) -> dict[str, Any]:
    """Return milliseconds of a step (median, least), memory and rates."""
    x, targets = (torch.from_numpy(a) for a in case.data())
    model = BUILDERS[library](case)
    optimizer = None
    if case.train and model.parameters:
        optimizer = torch.optim.Adam(model.parameters, lr=1e-4)
    initial = [p.detach().clone() for p in model.parameters]
    before = _memory_mb("VmRSS")

    def step() -> None:
        if optimizer is None:
            with torch.no_grad():
                model.run(x)
            return
        optimizer.zero_grad(set_to_none=True)
        out = model.run(x)
        torch.nn.functional.cross_entropy(out.mean(0), targets).backward()
        optimizer.step()

    if model.bare is not None:  # the products alone have no loss

        def step() -> None:
            model.bare(x, case.train)

    for _ in range(3):
        step()
    times: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < 5:
        start = time.perf_counter()
        step()
        times.append(1e3 * (time.perf_counter() - start))
        if len(times) % RESTART == 0:
            with torch.no_grad():
                for parameter, value in zip(model.parameters, initial, strict=True):
                    parameter.copy_(value)
    return {
        "ms": statistics.median(times),
        "ms_least": min(times),
        "steps": len(times),
        "peak_mb": _memory_mb("VmHWM"),
        "extra_mb": _memory_mb("VmHWM") - before,
        "rates": model.rates(x) if model.rates is not None else [],
    }


def _memory_mb(name: str) -> float:
    """Return a figure of this process [MB]; `getrusage` counts what its parent had as well."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
