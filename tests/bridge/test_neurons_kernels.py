"""Generated kernels against plain PyTorch, finite differences, and themselves cut otherwise."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosim import bridge
from neurosim.bridge import surrogate
from neurosim.bridge.kernels import threads as pools
from neurosim.bridge.kernels.function import Fused, block_size
from neurosim.bridge.kernels.step import Step, loop, lower
from neurosim.errors import ModelError

N = 5


def per_neuron(low: float, high: float) -> torch.Tensor:
    return torch.linspace(low, high, N, dtype=torch.float64)


NEURONS = {
    "LIF": lambda: bridge.LIF(
        N, beta=per_neuron(0.5, 0.9), learn_beta=True, learn_threshold=True, detach_reset=False
    ),
    "LIF zero": lambda: bridge.LIF(N, beta=0.7, reset="zero", detach_reset=False),
    "LIF at once": lambda: bridge.LIF(
        N, beta=0.7, reset_delay=False, learn_beta=True, learn_threshold=True
    ),
    "CubaLIF": lambda: bridge.CubaLIF(N, tau_syn=2.0, tau_mem=per_neuron(3, 9), learn_beta=True),
    "AlphaLIF": lambda: bridge.AlphaLIF(N, alpha=0.8, beta=0.5, learn_alpha=True, learn_beta=True),
    "Lapicque": lambda: bridge.Lapicque(N, R=5.0, C=0.8, learn_R=True, learn_C=True),
    "ALIF": lambda: bridge.ALIF(
        N, beta=0.8, rho=per_neuron(0.8, 0.97), kappa=0.4, learn_beta=True, learn_rho=True,
        learn_kappa=True, learn_threshold=True,
    ),
    "AdLIF": lambda: bridge.AdLIF(N, q=2.0, tau_w=(10.0, 20.0), threshold=0.1),
    "AdLIF forward": lambda: bridge.AdLIF(N, q=2.0, threshold=0.1, symplectic=False),
    "LI": lambda: bridge.LI(N, beta=0.9, learn_beta=True, normalise=True),
}  # fmt: skip


def torch_loop(neuron: bridge.Neuron, x: torch.Tensor, state: dict[str, torch.Tensor]) -> Any:
    """Run a neuron's step without kernels."""
    coefficients = {n: v.to(x.dtype) for n, v in neuron.coefficients().items()}
    inputs = {neuron.step.inputs[0]: x}
    return loop(neuron.step, neuron.spike_grad, inputs, coefficients, state)


#: In double precision, besides; of others, test_snntorch_equality.py does that.
DOUBLE = ("LIF", "ALIF", "AdLIF")


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [*((kind, torch.float32) for kind in NEURONS), *((kind, torch.float64) for kind in DOUBLE)],
    ids=str,
)
def test_kernels_equal_the_torch_loop(kind: str, dtype: torch.dtype):
    torch.manual_seed(3)
    neuron = NEURONS[kind]().to(dtype)
    x = torch.randn(30, 4, N, dtype=dtype, requires_grad=True)
    state = {s: (0.3 * torch.rand(4, N, dtype=dtype)).requires_grad_() for s in neuron.step.states}
    leaves = [x, *state.values(), *neuron.parameters()]
    out, final = neuron(x, state)
    (expected,), after = torch_loop(neuron, x, state)
    assert torch.equal(out, expected)
    if kind != "LI":
        assert 0.02 < out.mean() < 0.9
    weights = torch.randn_like(out)

    def gradients(o: torch.Tensor, s: dict[str, torch.Tensor]) -> Any:
        total = (o * weights).sum() + sum((v * v).sum() for v in s.values())
        found = torch.autograd.grad(total, leaves, allow_unused=True)
        return [torch.zeros_like(v) if g is None else g for v, g in zip(leaves, found, strict=True)]

    for name, value in final.items():
        assert torch.equal(value, after[name])
    limit = 1e-12 if dtype == torch.float64 else 1e-5
    for ours, theirs in zip(gradients(out, final), gradients(expected, after), strict=True):
        assert (ours - theirs).abs().max() <= limit * theirs.abs().max().clamp(min=1e-2)


SMOOTH = """
    a = exp(-a*k) + tanh(x)*c
    b = where(x > 0, b*cos(a), sqrt(2 + b*b)) + clip(x*k, -0.4, 0.4)
    y = log(1 + a*a) * exprel(0.1*b) + max(a, b)**2 - min(a, x)/(2 + sin(b)) + abs(b)**k
    a = 0.5*a + 0.1*y
"""


def test_backward_is_the_finite_difference():
    step = Step("smooth", ("a", "b"), ("x",), ("k", "c"), SMOOTH, ("y", "b"))
    fused = Fused(step, surrogate.atan())
    torch.manual_seed(0)
    x = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    k = torch.tensor([1.3], dtype=torch.float64, requires_grad=True)
    c = torch.rand(3, dtype=torch.float64, requires_grad=True)  # repeats over a batch of two
    a, b = (torch.rand(6, dtype=torch.float64, requires_grad=True) for _ in range(2))

    def run(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x, k, c, a, b = tensors
        outputs, states = fused({"x": x}, {"k": k, "c": c}, {"a": a, "b": b})
        return (*outputs, *states.values())

    assert torch.autograd.gradcheck(run, (x, k, c, a, b), rtol=1e-6, atol=1e-8)


def test_the_spike_passes_psi_where_a_sigmoid_network_passes_its_slope():
    # with the spike written as its own smooth primitive the kernel needs no surrogate: its
    # gradient, checked by differences above, must be what the surrogate gives along that path
    text = "mem = 0.8*mem + x\ns = {}\nout = s*mem"
    soft = Step("soft", ("mem",), ("x",), (), text.format("1/(1 + exp(-4*(mem - 1)))"), ("out",))
    hard = Step("hard", ("mem",), ("x",), (), text.format("spike(mem - 1)"), ("s",))
    slope = Step(
        "slope",
        ("mem",),
        ("x",),
        (),
        "mem = 0.8*mem + x\nsoft = 1/(1 + exp(-4*(mem - 1)))",
        ("soft",),
    )
    x = torch.randn(12, 8, dtype=torch.float64, requires_grad=True)
    start = {"mem": torch.zeros(8, dtype=torch.float64)}
    weights = torch.randn(12, 8, dtype=torch.float64)
    given = []
    for step in (hard, slope):
        (out,), _ = Fused(step, surrogate.sigmoid(4.0))({"x": x}, {}, start)
        given.append(torch.autograd.grad((out * weights).sum(), x)[0])
    assert torch.allclose(given[0], given[1], rtol=1e-12, atol=1e-14)
    assert torch.autograd.gradcheck(
        lambda v: Fused(soft, surrogate.atan())({"x": v}, {}, start)[0][0], (x,)
    )


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 20), st.integers(1, 700), st.integers(0, 20), st.integers(0, 2**31))
def test_cutting_a_sequence_or_the_neurons_changes_nothing(
    n_steps: int, n: int, cut: int, seed: int
):
    neuron = bridge.CubaLIF(alpha=0.6, beta=0.9)
    x = torch.randn(n_steps, 3, n, generator=torch.Generator().manual_seed(seed))
    out, state = neuron(x)
    cut = min(cut, n_steps)
    first, between = neuron(x[:cut])
    rest, end = neuron(x[cut:], between)
    assert torch.equal(torch.cat([first, rest]), out)
    part, _ = neuron(x[:, 1:2, n // 2 :])
    assert torch.equal(part, out[:, 1:2, n // 2 :])
    for name, value in state.items():
        assert torch.equal(end[name], value)


def gradient(x: torch.Tensor) -> list[torch.Tensor]:
    neuron = bridge.LIF(beta=torch.linspace(0.5, 0.9, x.shape[2]), learn_beta=True)
    x = x.clone().requires_grad_()
    out, _ = neuron(x)
    out.square().sum().backward()
    assert x.grad is not None
    assert neuron.beta.grad is not None
    return [out.detach(), x.grad, neuron.beta.grad]


@pytest.fixture
def threads(monkeypatch):
    """Use threads for small work, too; restore their number afterwards."""
    monkeypatch.setattr(pools, "_WORTH", 1)
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_threads_change_nothing(threads):
    x = torch.randn(60, 8, 1000)
    threads(1)
    one = gradient(x)
    threads(3)
    many = gradient(x)
    with ThreadPoolExecutor(2) as pool:
        at_once = list(pool.map(gradient, [x, x]))
    for other in (many, *at_once):
        for a, b in zip(one, other, strict=True):
            assert torch.equal(a, b)


def _in_child(queue: Any, x: torch.Tensor) -> None:
    # torch's own OpenMP pool does not survive a fork: as in DataLoader workers, one thread there
    torch.set_num_threads(1)
    first = gradient(x)
    torch.set_num_threads(2)
    neuron = bridge.LIF(beta=0.9)
    out, _ = neuron(x)
    queue.put([*(g.numpy() for g in first), out.numpy()])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_kernels_run_in_a_forked_process_after_threads_were_used(threads):
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork on this system")
    x = torch.randn(60, 8, 1000)
    threads(3)
    expected = [*(g.numpy() for g in gradient(x)), bridge.LIF(beta=0.9)(x)[0].numpy()]
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue, x))
    child.start()
    try:
        found = queue.get(timeout=60)
    finally:
        child.join(10)
        child.kill()
    for a, b in zip(expected, found, strict=True):
        assert (a == b).all()


def test_a_node_saves_its_input_only():
    neuron = bridge.ALIF(beta=0.9, rho=0.9)
    x = torch.randn(50, 4, 8, requires_grad=True)
    saved: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: saved.append(t.numel()) or t, lambda t: t
    ):
        neuron(x * 1.0)
    assert sum(n >= 50 * 4 * 8 for n in saved) == 1


def test_the_smallest_blocks_still_fill_vectors():
    assert block_size(10, 1, 4, 10**6) == 1024
    assert block_size(10**6, 3, 8, 10**6) == 64
    assert block_size(100, 2, 4, 10**6) % 16 == 0
    assert block_size(100, 2, 4, 10) == 10


def test_at_or_above_is_a_spike_where_the_step_is_not_strict():
    for strict, expected in ((True, 0.0), (False, 1.0)):
        step = Step("edge", (), ("x",), (), "spk = spike(x)", ("spk",), strict)
        (out,), _ = Fused(step, surrogate.atan())({"x": torch.zeros(1, 1)}, {}, {})
        assert out.item() == expected


@pytest.mark.parametrize(
    ("program", "message"),
    [("mem = mem + y", "unknown name 'y' in 'mem = mem . y'. Known there: mem, x, k"),
     ("x = 2", "'x = 2' assigns to 'x', an input"),
     ("mem == 2", "is not an assignment"),
     ("other = 1", "no line assigns the output 'mem_out'")],
)  # fmt: skip
def test_mistakes_in_a_step_are_named(program: str, message: str):
    with pytest.raises(ModelError, match=message):
        lower(Step("wrong", ("mem",), ("x",), ("k",), program, ("mem_out",)))
