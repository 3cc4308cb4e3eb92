"""ModelNeuron: white noise, and parameters of the full shape of a layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import neurosim as ns
from neurosim.bridge import ModelNeuron
from neurosim.errors import ModelError, ParameterError

DT = 0.5
#: What is learnt in most tests, which share their kernels therefore.
LEARN = ("tau", "sigma")


class ou(ns.NeuronModel):
    """Ornstein-Uhlenbeck membrane."""

    tau = ns.param(10.0, "ms", gt=0)
    sigma = ns.param(0.4, "1", ge=0)
    theta = ns.param(1e6, "1")
    equations = "dv/dt = -v/tau + xi*sigma*(2/tau)**0.5 : 1"
    receptors = {"exc": "v += weight"}
    threshold = "v > theta"
    reset = "v = 0"


class filtered(ou):
    """Noise in a current that drives the membrane."""

    equations = """
        dv/dt = (i - v)/tau : 1
        di/dt = -2*i/tau + xi*sigma*tau**-0.5 : 1
    """


class cubic(ou):
    """Noise beside a nonlinear drift."""

    method = "heun"
    equations = "dv/dt = -v*v*v/tau + xi*sigma*tau**-0.5 : 1"


def quiet(n_steps: int, n: int) -> torch.Tensor:
    return torch.zeros(n_steps, 1, n, dtype=torch.float64)


def test_the_noise_of_linear_states_is_exact():
    neuron = ModelNeuron(ou(), DT, generator=torch.Generator().manual_seed(0))
    v = neuron.traces(quiet(400, 4000))["v"][:, 0].numpy()
    # var(t) = sigma^2 (1 - exp(-2 t/tau)), whatever dt; 4000 neurons: 3 standard errors are 7 %
    for step in (1, 10, 400):
        expected = 0.16 * (1 - np.exp(-2 * step * DT / 10.0))
        assert abs(v[step - 1].var() / expected - 1) < 0.07
    correlation = (v[300] * v[320]).mean() / v[300].var()
    assert abs(correlation - np.exp(-1.0)) < 0.05


@pytest.mark.parametrize("model", [ou, filtered, cubic])
def test_the_seed_decides(model: type[ns.NeuronModel]):
    def run(generator: torch.Generator | None) -> torch.Tensor:
        neuron = ModelNeuron(model(), DT, learn=LEARN, generator=generator)
        return neuron.traces(quiet(20, 3))["v"]

    one, same, other = (run(torch.Generator().manual_seed(k)) for k in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    torch.manual_seed(1)
    assert torch.equal(run(None), one), "torch's own generator, where none is given"
    neuron = ModelNeuron(model(), DT, learn=LEARN)
    assert not torch.equal(*(neuron.traces(quiet(20, 3))["v"] for _ in range(2)))


@pytest.mark.parametrize("model", [ou, filtered, cubic])
def test_gradients_through_the_noise_equal_finite_differences(model: type[ns.NeuronModel]):
    def loss(tau: float, sigma: float) -> tuple[torch.Tensor, ModelNeuron]:
        neuron = ModelNeuron(
            model(tau=tau, sigma=sigma), DT, learn=LEARN,
            generator=torch.Generator().manual_seed(3),
        )  # fmt: skip
        x = quiet(30, 4)
        x[0] = 1.0
        return (neuron.traces(x)["v"] ** 2).sum(), neuron

    value, neuron = loss(8.0, 0.7)
    value.backward()
    e = 1e-5
    by_tau = (loss(8.0 + e, 0.7)[0] - loss(8.0 - e, 0.7)[0]).item() / (2 * e)
    by_sigma = (loss(8.0, 0.7 + e)[0] - loss(8.0, 0.7 - e)[0]).item() / (2 * e)
    assert abs(by_sigma) > 0.1
    assert np.isclose(float(neuron.tau.grad.sum()), by_tau, rtol=1e-5)
    assert np.isclose(float(neuron.sigma.grad.sum()), by_sigma, rtol=1e-5)


def test_learning_changes_no_value():
    def run(**options):
        neuron = ModelNeuron(filtered(), DT, generator=torch.Generator().manual_seed(0), **options)
        return neuron.traces(quiet(30, 5))["v"].detach()

    assert float(run().abs().max()) > 0.05
    torch.testing.assert_close(run(), run(learn=LEARN), rtol=1e-10, atol=1e-12)


def test_noise_makes_neurons_fire():
    neuron = ModelNeuron(ou(theta=0.3), DT, learn=LEARN, generator=torch.Generator().manual_seed(0))
    x = quiet(200, 50).requires_grad_()
    out = neuron.traces(x)["spk"]
    out.sum().backward()
    assert 0.01 < float(out.detach().mean()) < 0.3
    assert bool(torch.isfinite(x.grad).all())
    assert float(x.grad.abs().sum()) > 0


# --- arrays


@pytest.mark.parametrize("learn", [(), ("tau",)])
def test_parameters_may_have_the_shape_of_the_layer(learn):
    tau = np.linspace(5.0, 20.0, 6).reshape(2, 3)
    theta = np.repeat([[0.5], [1.5]], 3, axis=1)
    start = np.linspace(0.0, 0.4, 3)  # of the last dimension
    model = ou(tau=tau.ravel(), sigma=0.0, theta=theta.ravel())
    layer = ModelNeuron(model, DT, (2, 3), learn=learn, initial={"v": start})
    x = torch.rand(60, 2, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = 0.3 * x
    out, state = layer(x)
    assert 0.01 < float(out.detach().mean()) < 0.9
    for i in range(2):
        for j in range(3):
            alone = ModelNeuron(
                ou(tau=tau[i, j], sigma=0.0, theta=theta[i, 0]), DT, initial={"v": start[j]}
            )
            spikes, end = alone(x[..., i, j])
            assert torch.equal(spikes, out[..., i, j])
            torch.testing.assert_close(end["v"], state["v"][..., i, j].detach(), rtol=1e-12, atol=0)
    if learn:
        out.sum().backward()
        assert layer.tau.grad.shape == (2, 3)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ParameterError, match=r"not fit together: tau \(2,\), theta \(3,\)"):
        ModelNeuron(ou(tau=np.ones(2), theta=np.ones(3)), DT)
    with pytest.raises(ParameterError, match="does not fit a layer of shape"):
        ModelNeuron(ou(tau=np.array([5.0, 6.0])), DT, (2, 3))(torch.zeros(1, 1, 2, 3))
    with pytest.raises(ModelError, match=r"Write aeif_cond_exp\(method='rk4'\), 'heun' or 'expon"):
        ModelNeuron(ns.models.aeif_cond_exp(method="rk45"), DT)
