"""The cases: what is trained, on what input, and which implementations take part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SEED = 7
BETA = 0.9
#: Weights are uniform in +-gain/sqrt(fan-in): hidden layers then spike in 2 to 5 % of the steps.
GAINS = (3.5, 4.5, 1.0)
MAX_DELAY = 24  # steps: a dilated kernel of 25 taps


@dataclass(frozen=True)
class Case:
    """A network on random input.

    Parameters
    ----------
    kind : {"dense", "delays", "conv"}
        Layers 700-256-256-20, the same with a learned delay a synapse, or
        12C5-P2-32C5-P2-10 on 2 x 34 x 34.
    steps, batch : int
    density : float
        Fraction of the input that is 1; above 1 means normal numbers everywhere.
    libraries : tuple of str
    train : bool, default True
        Whether a training step is measured or inference alone.
    """

    kind: str
    steps: int
    batch: int
    density: float
    libraries: tuple[str, ...]
    train: bool = True

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of the input and of each layer."""
        return (700, 256, 256, 20)

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Return input [T, B, ...] and targets [B]."""
        rng = np.random.default_rng(SEED)
        shape = (2, 34, 34) if self.kind == "conv" else (self.sizes[0],)
        full = (self.steps, self.batch, *shape)
        classes = 10 if self.kind == "conv" else 20
        if self.density > 1.0:
            # as strong as 2 % of spikes
            x = rng.standard_normal(full, dtype=np.float32) * np.float32(0.14)
        else:
            x = (rng.random(full, dtype=np.float32) < self.density).astype(np.float32)
        return x, rng.integers(0, classes, self.batch)

    def weights(self) -> list[np.ndarray]:
        """Return the weights [out, in] of each layer."""
        rng = np.random.default_rng(SEED + 1)
        pairs = zip(self.sizes[:-1], self.sizes[1:], GAINS, strict=True)
        return [
            (rng.uniform(-1, 1, (m, n)) * gain / n**0.5).astype(np.float32) for n, m, gain in pairs
        ]

    def kernels(self) -> list[np.ndarray]:
        """Return the weights of the convolutional network: two kernels and the last layer."""
        rng = np.random.default_rng(SEED + 2)
        shapes, gains = [(12, 2, 5, 5), (32, 12, 5, 5), (10, 800)], (5.0, 5.0, 1.0)
        return [
            (rng.uniform(-1, 1, s) * g / np.prod(s[1:]) ** 0.5).astype(np.float32)
            for s, g in zip(shapes, gains, strict=True)
        ]

    def delays(self) -> list[np.ndarray]:
        """Return the delays [out, in] in steps of each layer."""
        rng = np.random.default_rng(SEED + 3)
        return [rng.uniform(0, MAX_DELAY, w.shape).astype(np.float32) for w in self.weights()]


_ALL = ("floor", "neurosim", "snntorch", "spikingjelly")
CASES = {
    "shd": Case("dense", 100, 128, 0.02, _ALL),
    "shd_dense_input": Case("dense", 100, 128, 2.0, _ALL),
    "shd_batch_8": Case("dense", 100, 8, 0.02, _ALL),
    "shd_long": Case("dense", 500, 32, 0.02, _ALL),
    "delays": Case("delays", 100, 128, 0.02, ("floor", "neurosim", "dcls")),
    "inference_8": Case("dense", 100, 8, 0.02, _ALL, train=False),
    "inference_1": Case("dense", 100, 1, 0.02, _ALL, train=False),
    "conv": Case("conv", 20, 32, 0.02, _ALL),
}
