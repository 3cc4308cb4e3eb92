"""CUDA C++ of a plasticity rule: what happens to one synapse, one target, one source.

The counterpart of the CPU engine's `emit_plastic`: the same operations in the same order. A spike
of the source runs `row` for every synapse of its row, which first catches up with the events of
its target that have reached it since; `settle` lets a synapse catch up without a spike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from neurosim.engines.gpu.emit import FUNCTIONS
from neurosim.engines.gpu.literals import number
from neurosim.lower.plasticity import PlasticityPlan
from neurosim.lower.rule_target import Seen
from neurosim.lower.rule_text import RuleSyntax, RuleText, flat
from neurosim.lower.step_text import Lines

_SYNTAX = RuleSyntax(
    functions=FUNCTIONS | {"**": "ns_power({0}, {1})", "binomial": "ns_binomial({0}, {1}, {2})"},
    number=number, argument="q[{}]",
    random="REAL(ns_uniform(ns_philox(x.ranks[k], (uint32_t)now, {}u, (uint32_t)round, "
           "x.key).w0))",
    then="then_{}", place="(ring + (({}) & wrap)) * {}", kept="H[{}]",
    step_kept="(long long)HS[{}]", keep="H[{}] = {}",
)  # fmt: skip
#: What lines assign to without a declaration.
_VARIABLE = re.compile(r"\s*((?:v|e|n|then)_\w+|elapsed|since|before|round) = ")
#: Arguments of what lets one synapse catch up.
_SYNAPSE = "const Rule& x, long long source, long long k, long long t, long long swept"


class RuleEmitter(RuleText):
    """Prints the device functions of one rule.

    Parameters
    ----------
    plan : PlasticityPlan
    dt : float
        Step [ms].
    signed : bool
        Whether stored weights carry a sign.
    target_states : sequence of str
        States of the target's model, in the order of its array.

    Attributes
    ----------
    every : bool
        Whether the rule looks at its targets in every step.
    """

    def __init__(
        self, plan: PlasticityPlan, dt: float, signed: bool, target_states: Sequence[str]
    ) -> None:
        super().__init__(plan, dt, signed, _SYNTAX)
        self.target_states = list(target_states)
        self.every = bool(plan.sampled) or plan.spec.post_event is not None
        self.source = "\n".join(
            [*self._row(), *self._settle(), *self._peek(), *self._append(), *self._jump(),
             *self._look()]
        )  # fmt: skip

    def modulator_at(self, names: set[str], when: str) -> Lines:
        """Return nothing: rules with a modulator do not run here."""
        return []

    def count_events(self) -> Lines:
        """Return what counts the events of the target in the step of event `p`, before it."""
        before, at = self.at("p - 1 - round"), self.at("p")
        return ["round = 0", f"while (HS[{before}] == HS[{at}]) round++"]

    # ---- functions

    def _row(self) -> Lines:
        """Return what a synapse does at the spikes of its source in a step, and what it sends."""
        names = self.reads("on_pre")
        last = self.plan.last["on_pre"]
        body = _ended([*self.pre_at(None, "t"), *self.own_statements(), *self.keep_own()])
        body += self._catch_up()
        body += _ended(["now = t", *self.evolve("t"), *self.own_again()])
        body += self._seen_at_pre(names)
        body += ["round = spike;"] if self.uses_random else []
        body += _ended(self.statements("on_pre", ("synapse",), set()))
        body.append(f"ns_send(net, x, receptor, i, t + reach, {self._sent()});")
        body += _ended([*[f"then_{t.name} = n_{flat(last[t.name])}" for t in self.pre],
                        "past = t"])  # fmt: skip
        lines = [
            "const long long source = s.source;",
            *self._open("x.past", "x.before"),
            "for (int spike = 0; spike < s.count; spike++) {",
            *_indent(body),
            "}",
            *self._close(),
        ]
        head = "const Net& net, const Rule& x, const Spike& s, long long k, long long t, "
        return _function("void", "row", head + "long long swept", lines)

    def _settle(self) -> Lines:
        """Return what lets a synapse catch up with all that has reached it."""
        lines = [*self._open("x.last", "x.traces"), *self._catch_up(), *self._close()]
        return _function("void", "settle", _SYNAPSE, lines)

    def _peek(self) -> Lines:
        """Return what writes the weight and the states of a settled synapse as they are now."""
        if not self.evolving:
            return []
        weight = "ns_signed(v_w, stored)" if self.signed else "v_w"
        lines = [
            *self._open("x.last", "x.traces"),
            *_ended(self.evolve("t")),
            f"out[k] = {weight};",
            *[f"out[{1 + j} * x.n_synapses + k] = v_{s};" for j, s in enumerate(self.plan.states)],
        ]
        return _function("void", "peek", f"{_SYNAPSE}, REAL* out", lines)

    def _append(self) -> Lines:
        """Return what notes an event of a target in its history."""
        lines = [
            "const int c = x.counts[i], wrap = (int)x.capacity - 1;",
            "const long long ring = i * x.capacity, now = t;",
            "REAL* H = x.history;",
            "ns_whole* HS = (ns_whole*)H;",
            f"const long long at = {self.at('c')};",
            *_ended([
                *self.traces_at_event("now"),
                "HS[at] = (ns_whole)t",
                *self.keep_event(self._noted),
                "x.counts[i] = c + 1",
            ]),
        ]  # fmt: skip
        head = "const Rule& x, const Population& p, long long i, long long t"
        return _function("void", "append", head, lines)

    def _jump(self) -> Lines:
        """Return what spikes do to the traces of their source; the row needs those of before."""
        last = self.plan.last["on_pre"]
        lines = ["long long past = x.last[i];", "const long long now = t;"]
        for j, t in enumerate(self.pre):
            place = f"[{j} * x.n_sources + i]"
            lines += [f"then_{t.name} = x.traces{place};", f"x.before{place} = then_{t.name};"]
        lines += [
            "for (int spike = 0; spike < count; spike++) {",
            *_indent(_ended([
                *self.pre_at(None, "now"), *self.own_statements(),
                *[f"then_{t.name} = v_{flat(last[t.name])}" for t in self.pre], "past = t",
            ])),
            "}",
            *[f"x.traces[{j} * x.n_sources + i] = then_{t.name};" for j, t in enumerate(self.pre)],
        ]  # fmt: skip
        head = "const Rule& x, long long i, long long t, int count"
        return _function("void", "jump", head, lines)

    def _look(self) -> Lines:
        """Return what looks at a target in every step: whether there is an event."""
        plan, condition = self.plan, self.plan.spec.post_event
        if not self.every:
            return []
        lines = [
            f"x.samples[({j} * x.n_kept + t % x.n_kept) * p.n + i] = {self._state(s)};"
            for j, s in enumerate(plan.sampled)
        ]
        if condition is None:
            lines.append("return count;")
        else:
            read = sorted(plan.spec.post_states()["post_event"])
            lines += [f"v_{s}_post = {self._state(s)};" for s in read]
            lines.append(f"return {self.expression(condition)} ? 1 : 0;")
        head = "const Rule& x, const Population& p, long long i, long long t, int count"
        return _function("int", "look", head, lines)

    # ---- pieces

    def _state(self, name: str) -> str:
        return f"p.state[{self.target_states.index(name)} * p.n + i]"

    def _noted(self, s: Seen) -> str:
        """Return what the history keeps of target `i` at its event of step `t`."""
        return self._sampled(s) if s.lag else self._state(s.state)

    def _sampled(self, s: Seen, later: str = "") -> str:
        """Return a state of target `i` of some steps ago; the ring is longer than that."""
        back = f"(t - ({later}{s.lag}) + x.n_kept) % x.n_kept"
        row = f"{self.plan.sampled.index(s.state)} * x.n_kept + {back}"
        return f"x.samples[({row}) * x.n_targets + i]"

    def _open(self, last: str, traces: str) -> Lines:
        """Return what reads a synapse, and how far it has caught up with its target."""
        delay = "reach"
        if self.plan.axonal:
            share = self.value("dendritic", 1.0 - 2.0 * self.plan.axonal)
            delay = f"(long long)rint((double)reach * (double){share})"
        lines = [
            f"long long past = {last}[source], now = t;",
            *[f"then_{t.name} = {traces}[{j} * x.n_sources + source];"
              for j, t in enumerate(self.pre)],
            "const ns_plastic word = x.words[k];",
            "const long long reach = (long long)(word & (((ns_plastic)1 << x.delay_bits) - 1));",
            f"const long long delay = {delay};",
            "long long i = (long long)(word >> x.delay_bits);",
            "int receptor = 0;",
            "for (; i >= x.n_targets; i -= x.n_targets) receptor++;",
            "const REAL stored = x.weights[k];",
            f"v_w = {'ns_abs(stored)' if self.signed else 'stored'};",
            *[f"v_{s} = x.states[{j} * x.n_synapses + k];"
              for j, s in enumerate(self.plan.states)],
            "const REAL* H = x.history;",
            "const ns_whole* HS = (const ns_whole*)H;",
            "const int top = x.counts[i], wrap = (int)x.capacity - 1;",
            "const long long ring = i * x.capacity, done = ns_max(past, swept);",
            "int p = top;",
            f"while ({self.arrival('p - 1')} > done) p--;",
        ]  # fmt: skip
        if self.evolving:
            lines.append(
                f"long long as_of = ns_max(ns_max(past, x.edge), {self.arrival('p - 1')});"
            )
        return lines

    def _close(self) -> Lines:
        lines = []
        if self.plan.spec.changes_weights:
            weight = "ns_signed(v_w, stored)" if self.signed else "v_w"
            lines.append(f"x.weights[k] = {weight};")
        states = self.plan.states
        return lines + [
            f"x.states[{states.index(s)} * x.n_synapses + k] = v_{s};"
            for s in self.changed_states()
        ]

    def _sent(self) -> str:
        if self.plan.transmits_weight:
            return "ns_signed(v_w, stored)" if self.signed else "v_w"
        sent = self.expression(self.plan.transmit)
        return f"ns_signed(REAL(1.0), stored)*{sent}" if self.signed else sent

    def _catch_up(self) -> Lines:
        """Return the loop over the events of the target that reached a synapse up to step t."""
        event = [*self.seen_at(self.reads("on_post"), "now"), *self.post_event()]
        return [
            "for (; p < top; p++) {",
            f"  now = {self.arrival('p')};",
            "  if (now > t) break;",
            *_indent(_ended(event)),
            "}",
        ]

    def _seen_at_pre(self, names: set[str]) -> Lines:
        """Return what the synapse sees of its target at a spike of its source."""
        lines = []
        if any(f"{t.name}@0" in names for t in self.post):
            lines = ["int seen = p;", f"while ({self.arrival('seen - 1')} == t) seen--;"]
            lines += _ended(self.post_at(names, "t", "seen"))
        return lines + [
            f"{self.seen(s)} = {self._sampled(s, 'delay + ')};" for s in self.plan.at_pre
        ]


def dispatch(emitters: Sequence[RuleEmitter]) -> str:
    """Return the functions of all kinds of rules, and those that choose one by its kind."""
    kinds = list(enumerate(emitters))
    lines = ['#line 1 "rules"']
    lines += [e.source.replace("@", f"_{k}") for k, e in kinds]
    for result, name, head, arguments, chosen in (
        ("void", "row", "const Net& net, const Rule& x, const Spike& s, long long k, long long t, "
         "long long swept", "net, x, s, k, t, swept", kinds),
        ("void", "settle", _SYNAPSE, "x, source, k, t, swept", kinds),
        ("void", "peek", f"{_SYNAPSE}, REAL* out", "x, source, k, t, swept, out",
         [k for k in kinds if k[1].evolving]),
        ("void", "append", "const Rule& x, const Population& p, long long i, long long t",
         "x, p, i, t", kinds),
        ("void", "jump", "const Rule& x, long long i, long long t, int count", "x, i, t, count",
         kinds),
        ("int", "look", "const Rule& x, const Population& p, long long i, long long t, int count",
         "x, p, i, t, count", [k for k in kinds if k[1].every]),
    ):  # fmt: skip
        lines += [f"__device__ __forceinline__ {result} ns_{name}({head}) {{",
                  "  switch (x.kind) {"]  # fmt: skip
        lines += [f"    case {k}: return ns_{name}_{k}({arguments});" for k, _ in chosen]
        lines += ["  }", "  return 0;" if result == "int" else "", "}"]
    return "\n".join(lines)


def _ended(lines: Lines) -> Lines:
    return [f"{line};" for line in lines]


def _indent(lines: Lines) -> Lines:
    return [f"  {line}" for line in lines]


def _function(result: str, name: str, head: str, lines: Lines) -> Lines:
    """Return a device function that declares the variables its lines assign to."""
    found = {m.group(1) for m in map(_VARIABLE.match, lines) if m}
    others = {"since": "long long", "before": "long long", "round": "int"}
    declared = [f"{others.get(v, 'REAL')} {v} = 0;" for v in sorted(found)]
    return [
        f"__device__ __forceinline__ {result} ns_{name}@({head}) {{",
        *_indent(["const REAL* q = x.numbers;", *declared, *lines]),
        "}",
    ]
