"""AdLIF: when its subthreshold dynamics are stable, and what is said when they are not."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from neurosim.bridge import AdLIF
from neurosim.bridge.neurons.adaptive import _stable_below
from neurosim.errors import ParameterWarning


def spectral_radius(alpha: float, beta: float, coupling: float, symplectic: bool) -> float:
    """Of the map (u, w) -> (u, w) of one step without input and spikes."""
    u = np.array([alpha, alpha - 1])
    driven = u if symplectic else np.array([1.0, 0.0])
    w = np.array([0.0, beta]) + (1 - beta) * coupling * driven
    return float(np.abs(np.linalg.eigvals(np.array([u, w]))).max())


@pytest.mark.parametrize("symplectic", [True, False])
def test_the_bound_is_where_an_eigenvalue_leaves_the_unit_circle(symplectic: bool):
    random = np.random.default_rng(0)
    for alpha, beta in random.uniform(0.02, 0.98, (200, 2)):
        a, b = torch.tensor(alpha), torch.tensor(beta)
        bound = float(_stable_below(a, b, symplectic=symplectic))
        for inside, coupling in ((True, 0.999), (False, 1.001)):
            radius = spectral_radius(alpha, beta, coupling * bound, symplectic)
            assert (radius < 1) is inside
        assert spectral_radius(alpha, beta, -0.999, symplectic) < 1
        assert spectral_radius(alpha, beta, -1.001, symplectic) > 1


@pytest.mark.parametrize("symplectic", [True, False])
@pytest.mark.parametrize("factor", [0.97, 1.03])
def test_the_layer_explodes_beyond_the_bound(symplectic: bool, factor: float):
    alpha, beta = (torch.exp(torch.tensor(-1 / tau, dtype=torch.float64)) for tau in (2.0, 5.0))
    q = factor * float(_stable_below(alpha, beta, symplectic=symplectic))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        neuron = AdLIF(tau_u=2.0, tau_w=5.0, a=1.0, q=q, threshold=1e30, symplectic=symplectic)
    x = torch.zeros(2000, 1, 1, dtype=torch.float64)
    x[0] = 1.0
    with torch.no_grad():
        u = neuron.traces(x)["u"].abs().flatten()
    late, early = float(u[-50:].max()), float(u[:50].max())
    assert (late > early) is (factor > 1)
    assert [w.category for w in caught] == ([ParameterWarning] if factor > 1 else [])


def test_the_warning_says_which_and_what_to_do():
    with pytest.warns(ParameterWarning, match=r"all neurons are unstable: q a = 120 .* below 8\.8"):
        AdLIF(tau_u=1.0, tau_w=2.0, a=1.0)
    with pytest.warns(ParameterWarning, match="above -1"):
        AdLIF(a=-0.5)
    torch.manual_seed(0)
    with pytest.warns(ParameterWarning, match=r"of 200 neurons .* or use symplectic=True"):
        AdLIF(200, symplectic=False)


def test_the_ranges_of_the_defaults_are_stable():
    AdLIF(1000)
    alpha, beta = torch.exp(torch.tensor(-1 / 5.0)), torch.exp(torch.tensor(-1 / 60.0))
    assert round(float(_stable_below(alpha.double(), beta.double(), symplectic=True))) == 1204
    assert round(float(_stable_below(alpha.double(), beta.double(), symplectic=False))) == 65
