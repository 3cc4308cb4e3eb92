"""Numba source of what a spike of the source does to its row of synapses.

Most rules go through a row in passes, some hundred synapses at a time: which events of the targets
each synapse has not seen, without a branch that could be guessed wrong; the traces at all of them,
in vectors; the statements of those events, one after another; the statements of the source's
spike, in vectors. Other rules do everything for one synapse after another.
"""

from __future__ import annotations

from neurosim.engines.cpu.emit_synapse import SynapseEmitter
from neurosim.engines.cpu.kernels import layout as L
from neurosim.engines.cpu.lines import indent
from neurosim.lower.plasticity import Trace
from neurosim.lower.rule_text import flat
from neurosim.lower.step_text import Lines

#: Synapses whose targets' histories memory is asked for ahead.
_AHEAD = 12
#: Synapses that go through the passes together: what they leave behind stays in the nearest cache.
_PIECE = 256
#: Events after which a piece ends early.
_EVENTS = 4 * _PIECE
#: Events of a target that are at hand apart from its history; all but the oldest can be new.
RECENT = 4


class RowEmitter(SynapseEmitter):
    """Prints the kernel of one rule for a spike of the source (parameters: `SynapseEmitter`)."""

    @property
    def in_passes(self) -> bool:
        """Whether rows go through in passes: synapses learn from events of the target alone."""
        plan = self.plan
        looks_further = plan.spec.uses_modulator or plan.at_pre or plan.at_spike
        if looks_further or self.evolving or self.uses_random:
            return False
        return bool(self.reads("on_post") or self._wanted("on_pre"))

    @property
    def recent(self) -> int:
        """Numbers in the record of a target's latest events: a power of two, so none is split."""
        return 1 << (RECENT * self.record - 1).bit_length() if self.in_passes else 0

    def work(self, capacity: int) -> int:
        """Return how many numbers the passes keep, with histories of `capacity` events."""
        if not self.in_passes:
            return 0
        synapses, events = self._handed_on()
        return len(synapses) * _PIECE + len(events) * (_EVENTS + capacity)

    def _wanted(self, event: str) -> list[tuple[int, Trace]]:
        """Return the traces of the target that synapses read at an event, with their places."""
        names = self.reads(event)
        return [(j, t) for j, t in enumerate(self.post) if f"{t.name}@0" in names]

    def update(self) -> Lines:
        """Return the kernel that a spike of a source runs: int64 f(table, source, step).

        For ``~source`` the synapses only catch up with the events of their targets.
        """
        last = self.plan.last["on_pre"]
        head = [f"then_{t.name}_v = fetch(then_{t.name}, source)" for t in self.pre]
        head += self.pre_at(None, "step")
        own = self.own_statements()
        lines = [
            *self._open_table(),
            "spikes = source >= 0",
            "if not spikes:",
            "    source = ~source",
            "first, last = pointers[source], pointers[source + 1]",
            "past = np.int64(fetch(lasts, source))",
            f"done = max(past, X[{L.X_DONE}])",
        ]
        if not self.plan.transmits_weight:
            lines.append(f"scratch = view(X[{L.X_SCRATCH}], last - first, REAL)")
        if self.uses_random:
            lines += [
                "pre_round = np.int64(fetch(rounds, source)) + 1 if past == step else 0",
                "if spikes:",
                "    store(rounds, source, np.int32(pre_round))",
            ]
        if self.in_passes:
            row = [*self.open_work(), *self.passes()]
        else:
            row = self._one_by_one()
        lines += [*head, "now = step", *own, *self.keep_own(), *row]
        keep = [f"store(then_{t.name}, source, n_{flat(last[t.name])})" for t in self.pre]
        keep.append("store(lasts, source, np.int32(step))")
        lines += ["if spikes:", *indent(keep), "return 0"]
        return self.function("UPDATE", "update(table, source, step)", lines)

    def _spike(self, k: str) -> Lines:
        """Return the statements of the source's spike for synapse `k`."""
        body = self.statements("on_pre", ("synapse",), set())
        if not self.plan.transmits_weight:
            sent = self.expression(self.plan.transmit)
            sent = f"REAL(copysign(ONE, fetch(weights, {k}))*{sent})" if self.signed else sent
            body.append(f"store(scratch, {k} - first, {sent})")
        return body

    # ---- one synapse after another

    def _one_by_one(self) -> Lines:
        names = self.reads("on_pre")
        body = [
            *self._ask("k", "H", "(ahead * capacity + ((np.int64(fetch(counts, ahead)) - 1) "
                       f"& wrap)) * {self.record}"),
            *self._open_synapse(), *self._catch_up("step"),
        ]  # fmt: skip
        spike = [
            "now = step",
            *self.evolve("step"),
            *self.own_again(),
            *self._seen_at_pre(names),
            *(["round_ = pre_round"] if self.uses_random else []),
            *self._spike("k"),
        ]
        return [
            "for k in range(first, last):",
            *indent([*body, "if spikes:", *indent(spike), *self._close_synapse()]),
        ]

    def _seen_at_pre(self, names: set[str]) -> Lines:
        lines: Lines = []
        if any(f"{t.name}@0" in names for t in self.post):
            lines += ["q = p", f"while {self.arrival('q - 1')} == step:", "    q -= 1"]
            lines += self.post_at(names, "step", "q")
        if self.plan.spec.uses_modulator:
            lines += self.modulator_at(names, "step")
        return lines + [
            f"{self.seen(s)} = " + self._sampled(s.state, f"delay - {s.lag}" if s.lag else "delay")
            for s in self.plan.at_pre
        ]

    def _ask(self, k: str, array: str, place: str) -> Lines:
        """Return lines that ask for the events of a target some synapses ahead."""
        return [
            f"if {k} + {_AHEAD} < last:",
            f"    ahead = np.int64(fetch(packed, {k} + {_AHEAD}) & mask) - base",
            "    while ahead >= padded:",
            "        ahead -= padded",
            f"    prefetch({array}, {place})",
        ]

    # ---- in passes

    def passes(self) -> Lines:
        """Return what takes the synapses of a row to `step`."""
        return [
            "begin = first",
            "while begin < last:",
            *indent([
                f"end = min(last, begin + {_PIECE})",
                *self._take_weights(),
                "n = 0",
                "k = begin",
                f"while k < end and n < {_EVENTS}:",
                *indent(self._find_events()),
                "end = k",
                *self._traces_at_events(),
                *self._events_in_order(),
                "if spikes:",
                *indent(self._spikes()),
                "else:",
                *indent(self._keep_weights()),
                "begin = end",
            ]),
        ]  # fmt: skip

    def _handed_on(self) -> tuple[list[str], list[str]]:
        """Return the names of what the passes hand on, of each synapse and of each event.

        Of a synapse its weight, the steps since the target's last event before, and the target's
        traces then. Of an event its synapse, the steps since the source's last spike, the steps
        since the target's event before, and traces of source and target.
        """
        synapses = ["weight", "since", *(f"post_{t.name}" for _, t in self._wanted("on_pre"))]
        events = ["which", "after", "apart", *(f"event_{t.name}" for _, t in self._event_traces())]
        return synapses, events

    def open_work(self) -> Lines:
        """Return the lines that open what the passes hand on."""
        synapses, events = self._handed_on()
        whole = ("since", "which", "after", "apart")
        lines = [*self._open_recent(), f"room = {_EVENTS} + capacity"]
        lines += [
            f"{name}_ = view(X[{L.X_WORK}] + {j * _PIECE} * ITEM, {_PIECE}, "
            f"{'WHOLE' if name in whole else 'REAL'})"
            for j, name in enumerate(synapses)
        ]
        return lines + [
            f"{name}_ = view(X[{L.X_WORK}] + ({len(synapses) * _PIECE} + {j} * room) * ITEM, room, "
            f"{'WHOLE' if name in whole else 'REAL'})"
            for j, name in enumerate(events)
        ]

    def _open_recent(self) -> Lines:
        size = f"X[{L.X_N}] * {self.recent}"
        return [
            f"recent = view(X[{L.X_RECENT}], {size}, REAL)",
            f"recent_steps = view(X[{L.X_RECENT}], {size}, WHOLE)",
        ]

    def _event_traces(self) -> list[tuple[int, Trace]]:
        """Return the traces that synapses read at an event of the target, with their places."""
        names = self.reads("on_post")
        pre = [(-1, t) for t in self.pre if f"{t.name}@0" in names]
        return pre + self._wanted("on_post")

    def _take_weights(self) -> Lines:
        stored = "fetch(weights, begin + j)"
        return [
            "for j in range(end - begin):",
            f"    store(weight_, j, {f'abs({stored})' if self.signed else stored})",
        ]

    def _find_events(self) -> Lines:
        """Return what lists the events of a synapse's target since the source's last spike."""
        width, rec = self.recent, self.record
        at = [f"step{r} = np.int64(fetch(recent_steps, i * {width} + {r * rec})) + delay"
              for r in range(RECENT)]  # fmt: skip
        few: Lines = []
        for r in reversed(range(RECENT - 1)):
            few += self._list_event(f"step{r}", f"step{r} - step{r + 1}", "recent",
                                    f"i * {width} + {(r + 1) * rec}")  # fmt: skip
            few.append(f"n += np.int64(step{r} > done) & np.int64(step{r} <= step)")
        # of the events before the spike the last one; the oldest listed here is before it
        few += ["back = " + " + ".join(f"np.int64(step{r} >= step)" for r in range(RECENT - 2))]
        text = f"step{RECENT - 2}"
        for r in reversed(range(RECENT - 2)):
            text = f"(step{r} if step{r} < step else {text})"
        few += [f"store(since_, j, WHOLE(step - {text}))"]
        few += [f"store(post_{t.name}_, j, fetch(recent, i * {width} + back * {rec} + {1 + m}))"
                for m, t in self._wanted("on_pre")]  # fmt: skip
        return [
            *self._ask("k", "recent", f"ahead * {width}"),
            *self._target(),
            *at,
            "j = k - begin",
            f"if step{RECENT - 1} > done or step{RECENT - 2} >= step:",
            *indent(self._find_many()),
            "else:",
            *indent(few),
            "k += 1",
        ]

    def _list_event(self, when: str, apart: str, array: str, before: str) -> Lines:
        """Return what writes an event to the end of the list; whether it counts comes after."""
        lines = ["store(which_, n, WHOLE(j))", f"store(after_, n, WHOLE({when} - past))"]
        if self._wanted("on_post"):
            lines.append(f"store(apart_, n, WHOLE({apart}))")
        return lines + [
            f"store(event_{t.name}_, n, fetch({array}, {before} + {1 + m}))"
            for m, t in self._wanted("on_post")
        ]

    def _find_many(self) -> Lines:
        """Return the same from the history of the target, for any number of events."""
        before = self.at("p - 1")
        return [
            "top = np.int64(fetch(counts, i))",
            "ring = i * capacity",
            "p = top",
            f"while {self.arrival('p - 1')} > done:",
            "    p -= 1",
            "while p < top:",
            *indent([
                f"now = {self.arrival('p')}",
                "if now > step:",
                "    break",
                *self._list_event("now", f"now - ({self.arrival('p - 1')})", "H", before),
                "n += 1",
                "p += 1",
            ]),
            f"while {self.arrival('p - 1')} == step:",
            "    p -= 1",
            f"store(since_, j, WHOLE(step - ({self.arrival('p - 1')})))",
            *[f"store(post_{t.name}_, j, fetch(H, {before} + {1 + m}))"
              for m, t in self._wanted("on_pre")],
        ]  # fmt: skip

    def _traces_at_events(self) -> Lines:
        lines: Lines = []
        for place, t in self._event_traces():
            then = f"then_{t.name}_v" if place < 0 else f"fetch(event_{t.name}_, m)"
            since = "fetch(after_, m)" if place < 0 else "fetch(apart_, m)"
            lines += [
                "for m in range(n):",
                f"    store(event_{t.name}_, m, {self.decayed(t, then, since)})",
            ]
        return lines

    def _events_in_order(self) -> Lines:
        body = [
            "j = np.int64(fetch(which_, m))",
            "k = begin + j",
            "now = past + np.int64(fetch(after_, m))",
            "v_w = fetch(weight_, j)",
            *[f"v_{s} = fetch(c_{s}, k)" for s in self.plan.states],
            *[f"v_{t.name}_0 = fetch(event_{t.name}_, m)" for _, t in self._event_traces()],
            *self.post_event(),
            "store(weight_, j, v_w)",
            *[f"store(c_{s}, k, v_{s})" for s in self.changed_states()],
        ]
        return ["for m in range(n):", *indent(body)] if self.reads("on_post") else []

    def _spikes(self) -> Lines:
        body = [
            "k = begin + j",
            "v_w = fetch(weight_, j)",
            *[f"v_{s} = fetch(c_{s}, k)" for s in self.plan.states],
            *self.own_again(),
            *[f"v_{t.name}_0 = " + self.decayed(t, f"fetch(post_{t.name}_, j)", "fetch(since_, j)")
              for _, t in self._wanted("on_pre")],
            *self._spike("k"),
            *([] if not self.signed else ["stored = fetch(weights, k)"]),
            *self._close_synapse(),
        ]  # fmt: skip
        return ["now = step", "for j in range(end - begin):", *indent(body)]

    def _keep_weights(self) -> Lines:
        """Return the end of a piece without a spike of the source."""
        weight = "fetch(weight_, j)"
        if self.signed:
            weight = f"REAL(copysign({weight}, fetch(weights, begin + j)))"
        return ["for j in range(end - begin):", f"    store(weights, begin + j, {weight})"]

    def note_recent(self) -> Lines:
        """Return what a target's event at `at` of the history does to its latest ones."""
        if not self.in_passes:
            return []
        first, rec = f"i * {self.recent}", self.record
        return [
            *self._open_recent()[1:],  # bits are moved, whatever they stand for
            f"for m in range({RECENT * rec - 1}, {rec - 1}, -1):",
            f"    store(recent_steps, {first} + m, fetch(recent_steps, {first} + m - {rec}))",
            f"for m in range({rec}):",
            f"    store(recent_steps, {first} + m, fetch(HS, at + m))",
        ]
