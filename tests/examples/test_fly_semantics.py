"""The fly model of `examples/fly_brain.py` against a plain loop written from its description.

Description: tau_m dv/dt = v0 - v + g and tau_g dg/dt = -g, solved exactly; spike when v > v_th;
then v and g are reset and stand still for the refractory time, in which arriving input is lost; an
arriving spike adds its weight to g; the stimulated neurons get kicks of v and are never refractory.
"""

import math

import numpy as np
import pytest
from fly_brain import DELAY, JUMP, KICK, Wiring, build, fly_lif

import neurosim as ns

DT, STEPS, N, DRIVEN = 0.1, 5000, 20, 4
V_0, V_TH, TAU_M, TAU_G, T_REF = -52.0, -45.0, 20.0, 5.0, 2.2
ENGINES = {
    "reference": "reference",
    **{s: ns.CPU(strategy=s, threads=1) for s in ("clock", "event", "auto")},
    "two threads": ns.CPU(threads=2),
}


def draw(seed):
    """Return pre, post, signed synapses, and for each driven neuron the steps of its kicks."""
    rng = np.random.default_rng(seed)
    pre, post = np.nonzero(rng.random((N, N)) < 0.4)
    synapses = rng.integers(5, 60, len(pre)) * np.where(rng.random(N) < 0.3, -1, 1)[pre]
    kicks = [np.flatnonzero(rng.random(STEPS - 20) < 0.015) + 20 for _ in range(DRIVEN)]
    return pre, post, synapses, kicks


def plain_loop(pre, post, synapses, kicks, t_ref):
    """Return spikes as (step, neuron), and how many arrivals were lost."""
    decay_m, decay_g = math.exp(-DT / TAU_M), math.exp(-DT / TAU_G)
    mix = TAU_G / (TAU_G - TAU_M) * (decay_g - decay_m)
    delay = round(DELAY / DT)
    v, g, held = [V_0] * N, [0.0] * N, [0] * N
    targets = [[(b, s * JUMP) for a, b, s in zip(pre, post, synapses, strict=True) if a == k]
               for k in range(N)]  # fmt: skip
    due = {}
    for k, steps in enumerate(kicks):
        for step in steps:
            due.setdefault(int(step), []).append(("kick", k, KICK))
    spikes, lost = [], 0
    for step in range(1, STEPS + 1):
        is_held = [h > 0 for h in held]
        for k in range(N):
            if is_held[k]:
                held[k] -= 1
            else:
                v[k] = V_0 + (v[k] - V_0) * decay_m + g[k] * mix
                g[k] *= decay_g
        for kind, k, amount in due.pop(step, ()):
            if kind == "kick":
                v[k] += amount
            elif is_held[k]:
                lost += 1
            else:
                g[k] += amount
        for k in range(N):
            if not is_held[k] and v[k] > V_TH:
                spikes.append((step, k))
                v[k], g[k], held[k] = V_0, 0.0, round(t_ref[k] / DT)
                for target, amount in targets[k]:
                    due.setdefault(step + delay, []).append(("synapse", target, amount))
    return spikes, lost


@pytest.fixture(scope="module")
def cases():
    found = []
    for seed in (1, 2, 5):
        pre, post, synapses, kicks = draw(seed)
        t_ref = np.where(np.arange(N) < DRIVEN, 0.0, T_REF)
        found.append((pre, post, synapses, kicks, *plain_loop(pre, post, synapses, kicks, t_ref)))
    return found


@pytest.mark.parametrize("engine", ENGINES)
def test_spike_for_spike(cases, engine):
    for pre, post, synapses, kicks, expected, lost in cases:
        net = build(Wiring(pre, post, synapses, N, np.arange(DRIVEN)), rate=0.0)
        brain = net.populations["brain"]
        times = np.concatenate(kicks) * DT
        ids = np.repeat(np.arange(DRIVEN), [len(steps) for steps in kicks])
        source = ns.models.spike_source(times=times - 1.0, ids=ids, round_times=True)
        world = net.population(DRIVEN, source, name="world")
        net.connect(world, brain[:DRIVEN], ns.OneToOne(), weight=KICK, delay=1.0, receptor="kick")
        record = [ns.Spikes(brain)]
        spikes = ns.simulate(net, STEPS * DT, dt=DT, record=record, engine=ENGINES[engine]).spikes
        steps = np.round(spikes["brain"].times / DT).astype(int)
        found = list(zip(steps.tolist(), spikes["brain"].ids.tolist(), strict=True))
        assert found == expected
        assert lost > 100, "the case must lose input in the refractory time"
        assert len({k for _, k in expected}) > N / 2, "the case must not be silent"


def test_the_drive_sets_the_rate():
    """At 100 Hz the stimulated neurons fire 100 Hz: each kick of 68.75 mV is a spike."""
    none = np.zeros(0, np.int64)
    net = build(Wiring(none, none, none, 200, np.arange(200)), rate=100.0)
    spikes = ns.simulate(net, 2000.0, seed=3, record=[ns.Spikes(net.populations["brain"])])
    # 40,000 spikes expected, standard deviation 200; at most one spike a step loses 0.5 %
    assert len(spikes.spikes["brain"]) == pytest.approx(40_000 * 0.995, abs=5 * 200)


def test_the_threshold_is_strict():
    net = ns.Network()
    cells = net.population(2, fly_lif(v_th=np.array([-45.0, -45.0 - 1e-9])), name="c")
    source = net.population(1, ns.models.spike_source(times=[1.0]), name="s")
    net.connect(source, cells, weight=7.0, delay=1.0, receptor="kick")
    assert ns.simulate(net, 5.0, record=[ns.Spikes(cells)]).spikes["c"].ids.tolist() == [1]
