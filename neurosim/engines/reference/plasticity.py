"""Plastic synapses, spelled out: every synapse is looked at in every step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurosim.engines.reference import plastic_state
from neurosim.expressions import Expression, compiled, evaluate, symbols
from neurosim.expressions.evaluate import exprel
from neurosim.lower.connectivity import ConnectionSpec, Edges
from neurosim.lower.plasticity import PlasticityPlan, Trace
from neurosim.lower.rewiring import replace_sources
from neurosim.lower.rule_target import Seen
from neurosim.models.synapse_spec import WEIGHT
from neurosim.random import philox, uniform

Values = dict[str, Any]


class PlasticSynapses:
    """The synapses of one plastic projection.

    Parameters
    ----------
    plan : PlasticityPlan
    spec : ConnectionSpec
    edges : Edges
        Sorted by source.
    n_pre, n_post : int
        Sizes of the two populations.
    dt : float
        Step [ms].
    initial : mapping of str to (n_post,) float64
        States of the targets before the first step.
    """

    def __init__(
        self, plan: PlasticityPlan, spec: ConnectionSpec, edges: Edges, n_pre: int, n_post: int,
        dt: float, initial: Mapping[str, np.ndarray],
    ) -> None:  # fmt: skip
        self.plan, self.spec, self.edges, self.dt = plan, spec, edges, dt
        plan.check_drawn(edges.weight, spec.name)
        self.sign = np.where(edges.weight < 0, -1.0, 1.0)
        n = len(edges)
        self.synapse: Values = {s: np.full(n, plan.init[s]) for s in plan.states}
        self.synapse[WEIGHT] = np.abs(edges.weight)
        self.shift = plan.shift(edges.delay_steps)
        self.slots = int(self.shift.max(initial=0)) + 2
        self.pre = {t.name: np.full(n_pre, t.init) for t in plan.traces["presynaptic"]}
        self.post = {t.name: np.full(n_post, t.init) for t in plan.traces["postsynaptic"]}
        self.modulator = {t.name: t.init for t in plan.traces["modulator"]}
        # what the targets were in the last steps: before and after the jumps of a step
        self.before = {t: np.tile(v, (self.slots, 1)) for t, v in self.post.items()}
        self.after = {t: np.tile(v, (self.slots, 1)) for t, v in self.post.items()}
        self.events = np.zeros((self.slots, n_post), np.int64)
        self.at_spike = {s: np.zeros((self.slots, n_post)) for s in plan.at_spike}
        self.initial = {s: np.broadcast_to(initial[s], n_post) for s in plan.sampled}
        self.sampled = {s: np.tile(v, (self.slots + plan.lag, 1)) for s, v in self.initial.items()}
        self.n_pre = n_pre
        self.statements = {
            event: [(a, compiled(a.value), random_names(a.value)) for a in assigned]
            for event, assigned in plan.events.items()
        }
        self._transmit = compiled(plan.transmit)
        self._post_event = None if plan.spec.post_event is None else compiled(plan.spec.post_event)
        self.waiting = np.zeros(plan.modulator_delay + 1, np.int64)
        self._index()

    # ---- one step

    def step(
        self,
        step: int,
        sources: np.ndarray,
        targets: np.ndarray,
        states: Mapping[str, np.ndarray],
        modulated: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Go on by a step.

        Parameters
        ----------
        step : int
        sources, targets : int64
            Who spiked in this step; twice if it did twice.
        states : mapping
            States of the target population at the end of the step.
        modulated : int
            Spikes of the modulator in this step.

        Returns
        -------
        (synapses, amounts)
            What is sent: positions in `edges`, and what each transmits.
        """
        self._evolve(step)
        self._decay()
        self._note_targets(step, targets, states)
        self._reach(step)
        self._modulate(step, modulated)
        sent = self._emit(step, sources)
        if self.plan.interval and step % self.plan.interval == 0:
            self._interval(step)
        return sent

    def _evolve(self, step: int) -> None:
        """Advance states that change between events, from the end of the step before."""
        if not self.plan.evolutions:
            return
        h, rates = self.dt, {t.name: t.rate for ts in self.plan.traces.values() for t in ts}
        rates |= {e.name: e.rate for e in self.plan.evolutions}
        row, posts = (step - 1 - self.shift) % self.slots, self.edges.post
        values: Values = {t: v[self.edges.pre] for t, v in self.pre.items()}
        values |= {t: v[row, posts] for t, v in self.after.items()} | self.modulator
        values |= self.synapse
        new = {}
        for e in self.plan.evolutions:
            total = values[e.name] * np.exp(-e.rate * h)
            for term in e.terms:
                rate = sum(rates[t] for t in term.traces)
                product = np.prod([np.broadcast_to(values[t], self.shift.shape)
                                   for t in term.traces], axis=0)  # fmt: skip
                weight = h * np.exp(-e.rate * h) * exprel((e.rate - rate) * h)
                total = total + term.factor * product * weight
            new[e.name] = total
        self.synapse |= new

    def _decay(self) -> None:
        def decayed(t: Trace, x: Any) -> Any:
            return t.rest + (x - t.rest) * np.exp(-t.rate * self.dt)

        for level, traces in (("presynaptic", self.pre), ("postsynaptic", self.post),
                              ("modulator", self.modulator)):  # fmt: skip
            for t in self.plan.traces[level]:
                traces[t.name] = decayed(t, traces[t.name])

    def _note_targets(
        self, step: int, targets: np.ndarray, states: Mapping[str, np.ndarray]
    ) -> None:
        plan, slot = self.plan, step % self.slots
        n = self.events.shape[1]
        counts = np.bincount(targets, minlength=n)
        if self._post_event is not None:
            held = {f"{s}_post": v for s, v in states.items()} | dict(plan.values)
            counts = np.broadcast_to(self._post_event(held), (n,)).astype(np.int64)
        self.events[slot] = counts
        for s, ring in self.sampled.items():
            ring[step % len(ring)] = states[s]
        for seen, ring in self.at_spike.items():
            late = self._looked_up(seen, step) if seen.lag else states[seen.state]
            ring[slot] = late
        for t in self.post:
            self.before[t][slot] = self.post[t]
        for k in range(int(counts.max(initial=0))):
            self.post = self.jumped("on_post", self.post, counts > k)
        for t in self.post:
            self.after[t][slot] = self.post[t]

    def jumped(self, event: str, traces: Values, chosen: Any) -> Values:
        """Return traces after the jumps of an event, where `chosen`."""
        env = dict(self.plan.values) | {f"{t}@0": v for t, v in traces.items()} | {"dt": self.dt}
        level = {"on_pre": "presynaptic", "on_post": "postsynaptic", "on_modulator": "modulator"}
        for a, value, _ in self.statements[event]:
            if a.level == level[event]:
                env[a.target] = value(env)
        last = self.plan.last[event]
        return {t: np.where(chosen, env[last[t]], v) for t, v in traces.items()}

    def _reach(self, step: int) -> None:
        """Run the statements of the targets' events that reach their synapses now."""
        row, post = (step - self.shift) % self.slots, self.edges.post
        count = self.events[row, post]
        count[step - self.shift < 1] = 0
        before = {t: v[row, post] for t, v in self.before.items()}
        for k in range(int(count.max(initial=0))):
            chosen = np.flatnonzero(count > k)
            env = {f"{t}@0": v[chosen] for t, v in before.items()}
            env |= {f"{t}@0": v[self.edges.pre[chosen]] for t, v in self.pre.items()}
            env |= {f"{t}@0": v for t, v in self.modulator.items()}
            at = (row[chosen], post[chosen])
            env |= {s.symbol: ring[at] for s, ring in self.at_spike.items()}
            self._run("on_post", chosen, env, step, k)
            before = self.jumped("on_post", before, count > k)

    def _modulate(self, step: int, modulated: int) -> None:
        slots = self.waiting.size
        self.waiting[step % slots] = modulated
        due = step - self.plan.modulator_delay
        for k in range(int(self.waiting[due % slots]) if due > 0 else 0):
            everyone = np.arange(self.shift.size)
            self._run("on_modulator", everyone, self._seen(step, everyone), step, k)
            self.modulator = self.jumped("on_modulator", self.modulator, True)

    def _seen(self, step: int, chosen: np.ndarray) -> Values:
        """Return the traces that synapses see now, without jumps of this step's target events."""
        row, post = (step - self.shift[chosen]) % self.slots, self.edges.post[chosen]
        env: Values = {f"{t}@0": v[row, post] for t, v in self.before.items()}
        env |= {f"{t}@0": v[self.edges.pre[chosen]] for t, v in self.pre.items()}
        env |= {f"{t}@0": v for t, v in self.modulator.items()}
        when = step - self.shift[chosen]
        return env | {s.symbol: self._looked_up(s, when, post) for s in self.plan.at_pre}

    def _looked_up(self, seen: Seen, step: Any, post: Any = slice(None)) -> np.ndarray:
        """Return a state of targets as it was `seen.lag` steps before a step."""
        ring = self.sampled[seen.state]
        found: np.ndarray = ring[(step - seen.lag) % len(ring), post]
        return found

    def _emit(self, step: int, sources: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        where, amounts = [np.zeros(0, np.int64)], [np.zeros(0)]
        seen: dict[int, int] = {}
        for source in sources:
            chosen = np.arange(self.first[source], self.first[source + 1])
            round_ = seen[int(source)] = seen.get(int(source), -1) + 1
            env = self._run("on_pre", chosen, self._seen(step, chosen), step, round_)
            sent = np.broadcast_to(self._transmit(env), chosen.shape)
            where.append(chosen)
            amounts.append(sent * self.sign[chosen])
            self.pre = self.jumped("on_pre", self.pre, np.arange(self.n_pre) == source)
        return np.concatenate(where), np.concatenate(amounts)

    def _interval(self, step: int) -> None:
        everyone = np.arange(self.shift.size)
        row, post = (step - self.shift) % self.slots, self.edges.post
        env = {f"{t}@0": v[row, post] for t, v in self.after.items()}
        env |= {f"{t}@0": v[self.edges.pre] for t, v in self.pre.items()}
        env |= {f"{t}@0": v for t, v in self.modulator.items()}
        weight = self._bounded(WEIGHT, self.synapse[WEIGHT])
        total = np.bincount(post, weight, minlength=self.events.shape[1])
        self._run("on_interval", everyone, env | {"w_total": total[post]}, step, 0)
        if self.plan.prune is not None:
            self._rewire(step, env)

    def _rewire(self, step: int, env: Values) -> None:
        """Replace the synapses that the rule prunes."""
        plan, e = self.plan, self.edges
        assert plan.prune is not None
        env = {**plan.values, **env, **self.synapse, "dt": self.dt, "t": step * self.dt}
        everyone = np.arange(len(e))
        env |= {n: self._random(n, everyone, step, 0) for n in random_names(plan.prune)}
        pruned = np.broadcast_to(evaluate(plan.prune, env), (len(e),))
        pre = e.pre.copy()
        pre[pruned] = replace_sources(
            self.spec, plan, step // plan.interval, e.pre, e.post,
            np.asarray(e.delay_steps, np.int64), pruned,
        )  # fmt: skip
        self.synapse[WEIGHT][pruned] = plan.regrow
        for s in plan.states:
            self.synapse[s][pruned] = plan.init[s]
        self.move(pre)

    def move(self, pre: np.ndarray) -> None:
        """Give synapses new sources; those that move go to the end of their row."""
        e = self.edges
        order = np.lexsort((pre != e.pre, pre))
        self.synapse = {s: v[order] for s, v in self.synapse.items()}
        self.sign, self.shift = self.sign[order], self.shift[order]
        moved = Edges(pre, e.post, e.weight, e.delay_steps, e.receptor)
        self.edges = moved.take(order)
        self._index()

    def _index(self) -> None:
        """Find the rows of sources, and the numbers that random draws are counted by."""
        e = self.edges
        self.first = np.searchsorted(e.pre, np.arange(self.n_pre + 1))
        order = np.lexsort((e.delay_steps, e.post, e.pre))
        self.number = np.empty(len(e), np.int64)
        self.number[order] = np.arange(len(e))

    def _run(self, event: str, chosen: np.ndarray, env: Values, step: int, round_: int) -> Values:
        """Run the statements of an event for some synapses; return what they leave behind."""
        env = dict(self.plan.values) | env | {"dt": self.dt, "t": step * self.dt}
        env |= {s: self._bounded(s, v[chosen]) for s, v in self.synapse.items()}
        for a, value, names in self.statements[event]:
            random = {n: self._random(n, chosen, step, round_) for n in names}
            env[a.target] = self._bounded(a.target, value(env | random))
        for s in self.synapse:
            self.synapse[s][chosen] = env[s]
        return env

    def _bounded(self, name: str, value: Any) -> Any:
        return np.clip(value, *self.plan.bounds) if name == WEIGHT else value

    def _random(self, name: str, chosen: np.ndarray, step: int, round_: int) -> np.ndarray:
        number = int(name.split("@")[1])
        words = philox(self.number[chosen].astype(np.uint32), step & 0xFFFFFFFF,
                       number, round_, *self.plan.key)  # fmt: skip
        return uniform(words[0])

    def reset(self) -> None:
        """Forget traces and what is on its way; weights and states stay as they are."""
        plan = self.plan
        for level, traces in (("presynaptic", self.pre), ("postsynaptic", self.post)):
            for t in plan.traces[level]:
                traces[t.name][:] = t.init
        self.modulator = {t.name: t.init for t in plan.traces["modulator"]}
        for name, values in self.post.items():
            self.before[name][:] = self.after[name][:] = values
        for s, ring in self.sampled.items():
            ring[:] = self.initial[s]
        self.events[:] = 0
        self.waiting[:] = 0

    def state(self, step: int) -> dict[str, Any]:
        """Return everything that a continued run needs."""
        return plastic_state.state_of(self, step)

    def restore(self, saved: Mapping[str, Any], step: int) -> None:
        """Take over a saved state."""
        plastic_state.restore(self, saved, step)

    def edges_now(self) -> Edges:
        """Return the synapses with their weights as they are."""
        e, weight = self.edges, self._bounded(WEIGHT, self.synapse[WEIGHT])
        return Edges(e.pre, e.post, weight * self.sign, e.delay_steps, e.receptor)


def random_names(expression: Expression) -> list[str]:
    """Return the names of the random numbers in an expression."""
    return [n for n in symbols(expression) if n.startswith("random@")]
