"""The networks of the session, at full size or a tiny one."""

from __future__ import annotations

import fcntl
from typing import Any

from case import SEED
from cases import fly, microcircuit

#: Balanced network: synapses a neuron, delay [ms], and a drive that gives about 5 spikes/s.
K, DELAY, ETA, J, G = 1000, 1.5, 0.92, 0.1, 5.0
TAU_M, V_TH = 20.0, 20.0


def circuit(ns: Any, scale: float) -> Any:
    """Return the cortical microcircuit of Potjans and Diesmann."""
    return microcircuit.build_neurosim(ns, scale)


def balanced(ns: Any, n: int, k: int = K, synapse: Any = None) -> Any:
    """Return a balanced network of n neurons with k synapses each; `synapse`: of the excitatory."""
    n_ex, k_ex, weight = n * 4 // 5, k * 4 // 5, J * K / k
    net = ns.Network()
    model = ns.models.iaf_psc_delta(
        E_L=0.0, V_th=V_TH, V_reset=10.0, tau_m=TAU_M, t_ref=2.0, C_m=1.0, I_e=0.0
    )
    cells = net.population(n, model, name="cells", V_m=ns.Uniform(0.0, V_TH))
    rate = ETA * V_TH / (weight * k_ex * TAU_M) * 1e3
    net.poisson_input(cells, rate=rate, n=k_ex, weight=weight)
    plastic = {} if synapse is None else {"synapse": synapse}
    net.connect(
        cells[:n_ex], cells, ns.FixedIndegree(k_ex), weight=weight, delay=DELAY, name="ex",
        **plastic,
    )  # fmt: skip
    net.connect(
        cells[n_ex:], cells, ns.FixedIndegree(k - k_ex), weight=-G * weight, delay=DELAY, name="in"
    )
    return net


def fly_brain(ns: Any, shrink: int) -> Any:
    """Return the surrogate of the fly brain, that many times smaller, with its sugar neurons."""
    if shrink == 1:
        prepare_fly()
        return fly.build_neurosim(ns)
    from fly_brain import fly_lif

    n = fly.N // shrink
    pre, post, count = fly.draw_edges(SEED, fly.GROUP, fly.LOCAL, fly.PREFERENCE, shrink)
    net = ns.Network()
    cells = net.population(n, fly_lif(t_ref=fly.refractory_times()[:n]), name="cells")
    net.poisson_input(cells[: fly.N_STIMULATED], rate=fly.RATE, weight=fly.KICK, receptor="kick")
    net.connect(
        cells, cells, ns.Explicit(pre, post), weight=count * fly.JUMP, delay=fly.DELAY,
        receptor="exc", name="brain",
    )  # fmt: skip
    return net


def prepare_fly() -> None:
    """Draw the wiring of the fly brain once, which takes a minute; others wait for who began."""
    fly.FOLDER.mkdir(exist_ok=True)
    complete = fly.FOLDER / "complete"
    with (fly.FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            (fly.FOLDER / "count.npy").unlink(missing_ok=True)  # perhaps of one that was stopped
            fly.prepare()
            complete.touch()


def drawn(ns: Any, n: int) -> Any:
    """Return n leaky neurons with 60 drawn synapses each, weights and delays drawn."""
    net = ns.Network()
    cells = net.population(
        n, ns.models.iaf_psc_exp(), name="cells", V_m=ns.Uniform(-70.0, -55.0)
    )  # fmt: skip
    net.poisson_input(cells, rate=8.0, n=1000, weight=87.8)
    net.connect(
        cells, cells, ns.FixedIndegree(60), weight=ns.Normal(50.0, 20.0),
        delay=ns.Uniform(0.5, 6.0), name="cc",
    )  # fmt: skip
    return net
