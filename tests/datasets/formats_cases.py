"""Vision formats as (write, read) pairs with what each can hold, for the tests of formats."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from neurosim.datasets import formats as f


class Case(NamedTuple):
    write: Callable[..., None]
    read: Callable[..., Any]
    size: tuple[int, int]
    latest: int  # us
    step: int  # largest difference of neighbours [us]
    ordered: bool  # whether times may not decrease
    suffix: str


def _case(write: Any, read: Any, size: Any, latest: int, step: int, ordered: bool, s: str) -> Case:
    return Case(write, read, size, latest, step, ordered, s)


CASES = {
    "nmnist": _case(f.write_nmnist, f.read_nmnist, (34, 34), 1 << 25, 1 << 24, True, ".bin"),
    "dat2": _case(
        partial(f.write_dat, sensor_size=(1280, 720)), f.read_dat, (1280, 720),
        1 << 40, (1 << 31) - 1, True, ".dat",
    ),
    "dat1": _case(
        partial(f.write_dat, sensor_size=(304, 240), version=1), f.read_dat, (304, 240),
        1 << 40, (1 << 31) - 1, True, ".dat",
    ),
    "evt2": _case(
        partial(f.write_evt2, sensor_size=(640, 480)), f.read_evt2, (640, 480),
        1 << 40, (1 << 33) - 64, True, ".raw",
    ),
    "evt3": _case(
        partial(f.write_evt3, sensor_size=(1280, 720)), f.read_evt3, (1280, 720),
        1 << 32, 1 << 32, True, ".raw",
    ),
    "aedat2_dvs128": _case(
        f.write_aedat2, f.read_aedat2, (128, 128), 1 << 40, (1 << 31) - 1, True, ".aedat"
    ),
    "aedat2_davis": _case(
        partial(f.write_aedat2, camera="davis"), f.read_aedat2, (346, 260),
        1 << 40, (1 << 31) - 1, True, ".aedat",
    ),
    "aedat3": _case(
        partial(f.write_aedat3, sensor_size=(128, 128)), f.read_aedat3, (128, 128),
        1 << 61, 1 << 61, False, ".aedat",
    ),
    "aedat4": _case(
        partial(f.write_aedat4, sensor_size=(640, 480)), f.read_aedat4, (640, 480),
        (1 << 63) - 1, 1 << 63, False, ".aedat4",
    ),
}  # fmt: skip


@st.composite
def recordings(draw: st.DrawFn, case: Case, max_size: int = 40) -> np.ndarray:
    """Draw events that a format can hold, with pauses around the turns of its clock."""
    n = draw(st.integers(0, max_size))
    times: list[int] = []
    for i in range(n):
        if not case.ordered:
            times.append(draw(st.integers(0, case.latest)))
            continue
        small = st.integers(0, 3000)
        step = draw(st.one_of(small, small, st.integers(0, case.step)))
        before = times[-1] if i else 0
        times.append(min(before + step, case.latest))
    width, height = case.size
    columns = {
        "x": st.integers(0, width - 1),
        "y": st.integers(0, height - 1),
        "p": st.booleans(),
    }
    drawn = {k: [draw(strategy) for _ in range(n)] for k, strategy in columns.items()}
    return f.make_events(t=np.array(times, np.int64), **{k: np.array(v) for k, v in drawn.items()})


def sample(case: Case, n: int, seed: int = 0, span: int = 1_000_000) -> np.ndarray:
    """Return n random events in order of time."""
    rng = np.random.default_rng(seed)
    width, height = case.size
    return f.make_events(
        t=np.sort(rng.integers(0, span, n)),
        x=rng.integers(0, width, n),
        y=rng.integers(0, height, n),
        p=rng.integers(0, 2, n),
    )
