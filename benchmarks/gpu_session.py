"""Test and measure the GPU engine on a machine with an NVIDIA GPU, in less than ten minutes.

Usage: python benchmarks/gpu_session.py [--parts microcircuit fly_brain] [--seconds 570]

Each part runs in a process of its own with a time limit; what fails, or finds no time left, is
noted, and the others go on. What must be ready on the host (the wiring of the fly brain, kernels of
the CPU engine) is made meanwhile. Writes RESULTS-gpu.md and results-gpu.json, again after every few
rows, so that nothing is lost if the session is stopped. With --emulate, all parts run at tiny sizes
on the emulator of the tests, which needs g++ and no GPU: a test of this script.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import IO, Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from gpu import table  # noqa: E402
from gpu.parts import PARTS, PREPARED  # noqa: E402
from gpu.place import ROOT, Place, Row  # noqa: E402

#: Seconds between two looks at what a part has found, and for a process to go when it is killed.
_LOOK, _GONE = 1.0, 10.0


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run the session; return what was written as JSON."""
    args = _arguments(arguments)
    if args.worker:
        for row in PARTS[args.worker].run(Place(args.emulate)):
            print(json.dumps(row._asdict()), flush=True)
        return {}
    if args.prepare:
        PREPARED[args.prepare]()
        return {}
    start = perf_counter()
    if not args.inline:
        signal.signal(signal.SIGTERM, _stopped)
    session: dict[str, Any] = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), "emulated": args.emulate,
        "seconds": 0.0, "parts": {},
    }  # fmt: skip
    args.out.mkdir(parents=True, exist_ok=True)
    beside = [] if args.emulate or args.inline else [_started("--prepare", n) for n in PREPARED]
    try:
        for name in args.parts:
            left = args.seconds - (perf_counter() - start)

            def write(part: dict[str, Any], name: str = name) -> None:
                session["parts"][name] = part
                session["seconds"] = perf_counter() - start
                _replace(args.out / "results-gpu.json", json.dumps(session, indent=1) + "\n")
                _replace(args.out / "RESULTS-gpu.md", table.render(session))

            part = run_part(name, args, left, write)
            write(part)
            print(f"{name:18} {part['seconds']:6.1f} s  {part['outcome']}", flush=True)
    finally:
        for process in beside:
            _end(process)
    print((args.out / "RESULTS-gpu.md").read_text())
    return session


def run_part(
    name: str, args: argparse.Namespace, left: float,
    write: Callable[[dict[str, Any]], None] = lambda part: None,
) -> dict[str, Any]:  # fmt: skip
    """Run a part with what is left of the time; return its rows and how it ended.

    `write` gets what there is so far whenever there is more.
    """
    part, start = PARTS[name], perf_counter()
    title = (part.run.__doc__ or "").strip().splitlines()[0]

    def described(rows: list[Row], outcome: str) -> dict[str, Any]:
        return {
            "title": title, "outcome": outcome, "seconds": perf_counter() - start,
            "rows": [row._asdict() for row in rows],
        }  # fmt: skip

    if left < 5.0:
        return described([], "no time was left")
    if args.inline:
        return described(*_inline(name, args.emulate))
    limit = min(part.limit_s, left)
    rows, outcome = _process(
        name, args.emulate, limit, lambda rows: write(described(rows, "not finished"))
    )
    return described(rows, outcome)


def _inline(name: str, emulated: bool) -> tuple[list[Row], str]:
    rows: list[Row] = []
    try:
        rows.extend(PARTS[name].run(Place(emulated)))
    except Exception as error:
        return rows, f"failed: {type(error).__name__}: {error}"[:400]
    return rows, "done"


def _started(*arguments: str, output: Any = None, errors: Any = None) -> subprocess.Popen[Any]:
    """Start this script again, in a session of its own."""
    return subprocess.Popen(
        [sys.executable, str(HERE / "gpu_session.py"), *arguments], cwd=ROOT,
        stdout=output or subprocess.DEVNULL, stderr=errors or subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip


def _process(
    name: str, emulated: bool, limit_s: float, look: Callable[[list[Row]], None] = lambda rows: None
) -> tuple[list[Row], str]:
    """Run a part in a process; rows that it printed before it failed or was stopped count."""
    start, outcome, seen = perf_counter(), "done", 0
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        arguments = ["--worker", name, *["--emulate"] * emulated]
        process = _started(*arguments, output=output, errors=errors)
        try:
            while process.poll() is None:
                left = limit_s - (perf_counter() - start)
                if left <= 0.0:
                    outcome = f"stopped after {limit_s:.0f} s"
                    break
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(min(left, _LOOK))
                rows = _rows(output)
                if len(rows) > seen:
                    seen = len(rows)
                    look(rows)
        finally:
            _end(process)
        if outcome == "done" and process.returncode:
            errors.seek(0)
            last = errors.read().strip().splitlines() or [f"exit code {process.returncode}"]
            outcome = f"failed: {last[-1][:400]}"
        return _rows(output), outcome


def _rows(output: IO[str]) -> list[Row]:
    """Return the rows that have been written so far; the last line may be half of one."""
    # by the file's descriptor: where its process writes does not change
    text = os.pread(output.fileno(), os.fstat(output.fileno()).st_size, 0).decode()
    lines = text[: text.rfind("\n") + 1].splitlines()
    return [Row(**json.loads(line)) for line in lines if line.startswith('{"name"')]


def _end(process: subprocess.Popen[Any]) -> None:
    """Kill a process and all that it started; one that hangs in a driver is left behind."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GONE)


def _stopped(*_: object) -> None:
    raise SystemExit("stopped")


def _replace(path: Path, text: str) -> None:
    """Write a file at once: who stops the session finds the old one or the new one."""
    aside = path.with_suffix(".tmp")
    aside.write_text(text)
    os.replace(aside, path)


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=570.0, help="of the whole session")
    parser.add_argument("--emulate", action="store_true", help="tiny sizes, on the emulator")
    parser.add_argument("--inline", action="store_true", help="all parts in this process")
    parser.add_argument("--out", type=Path, help="folder of RESULTS-gpu.md and results-gpu.json")
    parser.add_argument("--worker", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--prepare", choices=PREPARED, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    args.out = args.out or (ROOT / "out" / "gpu_session" if args.emulate else HERE)
    return args


if __name__ == "__main__":
    main()
