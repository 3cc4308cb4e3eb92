"""Windows: how a real-valued delay becomes weights at whole lags.

A delay d in [0, max_delay] steps may act at the K = max_delay + 1 lags 0 .. max_delay. A window
gives the gain of each lag; only lags near d have one, so it is returned as a first lag and a few
gains. All are differentiable in d.
"""

from __future__ import annotations

import math

import torch

from neurosim.bridge.kernels.delay import GROUP

#: Windows by name; None is linear interpolation between two lags.
WINDOWS = (None, "gaussian", "triangular")
#: Added to sigma and to the sum of the gains in the Gaussian window, as in the DCLS library.
_WIDTH, _EPSILON = 0.27, 1e-7
Window = tuple[torch.Tensor, torch.Tensor]


def interpolation(delay: torch.Tensor, max_delay: int) -> Window:
    """Return ``1 - f`` at lag n and ``f`` at lag n + 1, for d = n + f.

    Parameters
    ----------
    delay : [...] tensor
        In [0, max_delay] steps.
    max_delay : int

    Returns
    -------
    start : [...] int32 tensor
        First lag.
    gains : [..., 2] tensor
    """
    start = delay.detach().floor().clamp(0, max_delay - 1)
    fraction = delay - start
    return start.to(torch.int32), torch.stack((1 - fraction, fraction), -1)


def rounded(delay: torch.Tensor, max_delay: int) -> Window:
    """Return one lag, the nearest (half to even), with gain 1 and another with gain 0."""
    start = delay.detach().round().clamp(0, max_delay)
    gains = torch.stack((torch.ones_like(delay), torch.zeros_like(delay)), -1)
    return start.to(torch.int32), gains


def triangular(delay: torch.Tensor, max_delay: int, sigma: float) -> Window:
    """Return ``max(0, s - |lag - d|) / s**2`` with s = 1 + sigma; sigma = 0 is `interpolation`.

    Queant et al. (2025), arXiv 2509.24852 (DelRec). Lags outside 0 .. max_delay are cut off.
    """
    s = 1.0 + sigma
    start, lags, inside = _lags(delay, max_delay, math.ceil(s))
    distance = (lags - delay.unsqueeze(-1)).abs()
    return start, torch.relu(s - distance) / s**2 * inside


def gaussian(delay: torch.Tensor, max_delay: int, sigma: float) -> Window:
    """Return ``g / (sum g + 1e-7)``, ``g = exp(-((lag - d) / (|sigma| + 0.27))**2 / 2)``.

    Hammouamri et al. (2024), section 3, with lag = K - 1 - n for their kernel index n and
    d = (K - 1) / 2 - p for their position p. Gains below the rounding of the sum are left out.
    """
    width = abs(sigma) + _WIDTH
    smallest = 1e-17 if delay.dtype == torch.float64 else 1e-8
    radius = math.ceil(width * math.sqrt(-2.0 * math.log(smallest)))
    start, lags, inside = _lags(delay, max_delay, radius)
    g = torch.exp(-0.5 * ((lags - delay.unsqueeze(-1)) / width) ** 2) * inside
    return start, g / (g.sum(-1, keepdim=True) + _EPSILON)


def _lags(
    delay: torch.Tensor, max_delay: int, radius: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the first lag, the lags around a delay, and which of them exist.

    Their number is a multiple of `GROUP`, which the kernels ask for.
    """
    n = min(2 * radius + 1, max_delay + 1)
    n = -(-n // GROUP) * GROUP
    start = (delay.detach().round() - radius).clamp(0, max(0, max_delay + 1 - n))
    lags = start.unsqueeze(-1) + torch.arange(n, dtype=delay.dtype, device=delay.device)
    return start.to(torch.int32), lags, (lags <= max_delay).to(delay.dtype)
