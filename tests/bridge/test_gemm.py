"""Products of gradients, by whichever library."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from neurosim.bridge.kernels import gemm


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "sizes", [(130, 130, 131), (300, 700, 11), (7, 20, 33), (0, 3, 4), (3, 0, 4)]
)
def test_products_are_right(sizes, dtype):
    g = torch.Generator().manual_seed(0)
    r, k, n = sizes
    a = torch.randn(r, k, generator=g, dtype=dtype)
    b = torch.randn(k, n, generator=g, dtype=dtype, requires_grad=True)
    found = gemm.multiply(a, b.detach())
    assert found.shape == (r, n) and found.dtype == dtype
    tolerance = 1e-5 if dtype == torch.float32 else 1e-13
    expected = (a.double() @ b.detach().double()).to(dtype)
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=10 * tolerance)
    transposed = gemm.multiply(b.detach().t(), a.t())
    torch.testing.assert_close(transposed, expected.t(), rtol=tolerance, atol=10 * tolerance)


def _refuses(*_arguments):
    raise RuntimeError("other arguments")


@pytest.mark.parametrize(
    "operator", [lambda *a: a[0], _refuses, None], ids=["wrong", "refuses", "missing"]
)
def test_without_the_operator_torch_multiplies(monkeypatch, operator):
    found = SimpleNamespace()
    if operator is not None:
        found._linear_pointwise = SimpleNamespace(default=operator)
    monkeypatch.setattr(torch.ops, "mkldnn", found)
    gemm._onednn.cache_clear()
    try:
        a = torch.arange(200 * 200.0).reshape(200, 200) % 7
        assert torch.equal(gemm.multiply(a, a.t()), torch.mm(a, a.t()))
        assert gemm._onednn() is None
    finally:
        gemm._onednn.cache_clear()
