"""Dense products of gradients by the faster of the libraries that PyTorch brings along.

`torch.mm` takes MKL, which leaves half of the vector width of an AMD core unused: [12800, 256] by
[256, 256] takes 18 ms on one Zen 5 core, in oneDNN 8 ms. PyTorch offers oneDNN's product of single
precision to its own compiler only, as an operator with a leading underscore; where that operator
is missing or does something else, `torch.mm` is used. Results differ by rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch

Operator = Callable[..., torch.Tensor]
#: Multiplications below which looking up oneDNN's kernel (40 us) takes longer than multiplying.
_WORTH = 1 << 21


@cache
def _onednn() -> Operator | None:
    """Return oneDNN's product of activity and the transposed weights, if there is one."""
    a = torch.arange(12, dtype=torch.float32).reshape(4, 3)
    try:
        operator: Operator = torch.ops.mkldnn._linear_pointwise.default
        usable = torch.equal(operator(a, a, None, "none", [], ""), a @ a.t())
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return None
    return operator if usable else None


def multiply(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return ``a @ b``; not differentiable.

    Parameters
    ----------
    a : [R, K] tensor
    b : [K, N] tensor

    Returns
    -------
    product : [R, N] tensor
    """
    plain = a.dtype != torch.float32 or a.device.type != "cpu"
    operator = None if plain or a.numel() * b.shape[1] < _WORTH else _onednn()
    if operator is None:
        return torch.mm(a, b)
    with torch.no_grad():
        return operator(a, b.t(), None, "none", [], "")
