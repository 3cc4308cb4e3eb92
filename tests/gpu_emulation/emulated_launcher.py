"""The launcher of the bridge's kernels on the emulation layer: tensors stay on the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from emulator import EmulatedDevice, EmulatedProgram, Grid, compiled

from neurosim.bridge.cuda import launcher as launchers
from neurosim.bridge.cuda.launcher import Argument, Launcher


class EmulatedLauncher(Launcher):
    """What is not initialised is NaN.

    Parameters
    ----------
    seed : int
        Of the order of threads; 0: in turn.
    sanitizer : {"address", "thread"}, optional
    left_out : str
        Text that is cut out of the sources, to plant a mistake.
    """

    def __init__(self, seed: int = 0, sanitizer: str | None = None, left_out: str = "") -> None:
        self.device = EmulatedDevice(seed, sanitizer=sanitizer)
        self.sanitizer, self.left_out = sanitizer, left_out
        self.kernels: list[str] = []

    def empty(self, shape: Sequence[int], like: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        if not dtype.is_floating_point:
            return torch.full(tuple(shape), 0x4DCDCDCD, dtype=dtype)
        return torch.full(tuple(shape), float("nan"), dtype=dtype)

    def launch(
        self, source: str, kernel: str, blocks: int, threads: int, arguments: Sequence[Argument]
    ) -> None:
        source = source.replace(self.left_out, "") if self.left_out else source
        program = EmulatedProgram(compiled(source, sanitizer=self.sanitizer), self.device)
        values = [np.uint64(a.data_ptr()) if isinstance(a, torch.Tensor) else a for a in arguments]
        program.launch(kernel, Grid(blocks, threads, 32), values)
        self.kernels.append(kernel)


@contextmanager
def on(launcher: Launcher) -> Iterator[Launcher]:
    """Let tensors on the CPU take the path of tensors on a GPU."""
    before = launchers.launcher_for, launchers.waits
    launchers.launcher_for, launchers.waits = lambda device: launcher, lambda device: True
    try:
        yield launcher
    finally:
        launchers.launcher_for, launchers.waits = before
