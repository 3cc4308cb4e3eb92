"""Surrogate derivatives: their values, integrals, and what callers hand over."""

from __future__ import annotations

import math
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurosim.bridge import surrogate
from neurosim.errors import ParameterError

SQRT_2PI = math.sqrt(2 * math.pi)


def normal(u: float, width: float) -> float:
    return math.exp(-(u**2) / (2 * width**2)) / (width * SQRT_2PI)


def sigmoid(u: float) -> float:
    return 1 / (1 + math.exp(-u))


#: Surrogate, psi(u) from the literature, and its integral over all u.
TABLE = [
    (surrogate.atan(), lambda u: 1 / (1 + (math.pi * u) ** 2), 1.0),
    (surrogate.atan(5.0), lambda u: 2.5 / (1 + (2.5 * math.pi * u) ** 2), 1.0),
    (surrogate.fast_sigmoid(), lambda u: 1 / (1 + 25 * abs(u)) ** 2, 2 / 25),
    (surrogate.sigmoid(4.0), lambda u: 4 * sigmoid(4 * u) * (1 - sigmoid(4 * u)), 1.0),
    (surrogate.gaussian(), lambda u: normal(u, 0.5), 1.0),
    (
        surrogate.multi_gaussian(),
        lambda u: (
            0.5 * (1.15 * normal(u, 0.5) - 0.15 * (normal(u - 0.5, 3) + normal(u + 0.5, 3)))
        ),
        0.425,
    ),
    (surrogate.triangular(0.3), lambda u: 0.3 * max(0, 1 - abs(u)), 0.3),
    (surrogate.triangular(1.0, 0.5), lambda u: max(0, 1 - 2 * abs(u)), 0.5),
    (surrogate.rectangular(0.6), lambda u: (abs(u) < 0.6) / 1.2, 1.0),
    (surrogate.slayer(), lambda u: math.exp(-5 * abs(u)), 0.4),
    (surrogate.straight_through(), lambda u: 1.0, None),
    (surrogate.spike_operator(), lambda u: float(u > 0), None),
    (surrogate.leaky_spike_operator(), lambda u: 1.0 if u > 0 else 0.1, None),
    (surrogate.sparse_fast_sigmoid(25, 0.2), lambda u: (u > 0.2) / (1 + 25 * abs(u)) ** 2, None),
    (surrogate.spike_rate_escape(), lambda u: 25 * math.exp(-abs(u - 1)), 50.0),
    (surrogate.snntorch_triangular(2.0), lambda u: 2.0 if u < 0 else -2.0, None),
]  # fmt: skip
names = [f"{s.name}{k}" for k, (s, _, _) in enumerate(TABLE)]


@pytest.mark.parametrize(("psi", "formula", "integral"), TABLE, ids=names)
def test_values_are_those_of_the_literature(psi, formula, integral):
    u = torch.tensor([-1.0, -0.5, -0.1, 0.0, 0.1, 0.5, 1.0], dtype=torch.float64)
    expected = torch.tensor([formula(v) for v in u.tolist()], dtype=torch.float64)
    assert torch.allclose(psi.derivative(u), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("psi", "formula", "integral"), TABLE, ids=names)
def test_integrals_are_those_of_the_literature(psi, formula, integral):
    if integral is None:
        pytest.skip("not integrable")
    # 1/u^2 tails beyond +-200 hold 2/(pi^2 200) < 0.1 % of atan's integral
    u = torch.linspace(-200, 200, 4_000_001, dtype=torch.float64)
    assert float(torch.trapezoid(psi.derivative(u), u)) == pytest.approx(integral, rel=2e-3)


@given(st.floats(-50, 50, width=32), st.sampled_from(TABLE))
def test_a_surrogate_is_a_step_with_psi_as_slope(u, row):
    x = torch.tensor([u], requires_grad=True)
    spikes = row[0](x)
    spikes.sum().backward()
    assert spikes.item() == float(u > 0)
    assert x.grad == row[0].derivative(x.detach())
    assert torch.isfinite(x.grad)


def test_surrogates_are_values():
    psi = surrogate.fast_sigmoid(10)
    assert psi == surrogate.fast_sigmoid(10.0) != surrogate.fast_sigmoid(11)
    assert pickle.loads(pickle.dumps(psi)) == psi
    assert surrogate.resolve(psi) is psi
    assert surrogate.resolve(None) == surrogate.atan(2.0)


def test_any_text_of_the_language_can_be_a_surrogate():
    psi = surrogate.Surrogate("mine", "where(abs(u) < w, cos(u), 0)", (("w", 1.0),))
    assert psi.derivative(torch.tensor([0.0, 0.5, 2.0])).tolist() == pytest.approx(
        [1, math.cos(0.5), 0]
    )


def test_errors_name_the_surrogate():
    with pytest.raises(ParameterError, match=r"surrogate atan: alpha = 0\.0 must be > 0"):
        surrogate.atan(0.0)
    with pytest.raises(ParameterError, match=r"surrogate 'mine': 'k\*u' uses k; only u"):
        surrogate.Surrogate("mine", "k*u")
    with pytest.raises(ParameterError, match="spike_grad = 'atan'; a surrogate such as"):
        surrogate.resolve("atan")
