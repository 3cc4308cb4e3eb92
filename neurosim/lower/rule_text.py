"""Text of a plasticity rule for engines that print code: what does not depend on the language.

Names of traces, states and locals get the prefix ``v_``, numbers of the rule are arguments. Texts
are expressions that Python and C++ read alike; `REAL(x)` converts to the precision of the kernel.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from neurosim.expressions import Expression, Printer, symbols
from neurosim.lower.evolution import Evolution
from neurosim.lower.plasticity import Assignment, PlasticityPlan, Trace
from neurosim.lower.rule_target import Seen
from neurosim.models.synapse_spec import WEIGHT


@dataclass(frozen=True, kw_only=True)
class RuleSyntax:
    """How a language writes what a synapse reads, as templates for `str.format`.

    Attributes
    ----------
    functions : mapping of str to str
        Names or templates of functions and operators, see `Printer`.
    number : callable
        Returns the text of a number.
    argument : str
        A number of the rule; takes its index.
    random : str
        A random number of the synapse; takes its number in the statements of an event.
    then : str
        A trace of the source after its last spike; takes its name.
    place : str
        Where the history of a target keeps an event; takes its number and the size of a record.
    kept, step_kept : str
        A number, and a step, that the history keeps at a place.
    keep : str
        What puts a number there; takes the place and the number.
    """

    functions: Mapping[str, str]
    number: Callable[[float], str]
    argument: str
    random: str
    then: str
    place: str
    kept: str
    step_kept: str
    keep: str


class RuleText(ABC):
    """Prints the parts of a rule.

    Parameters
    ----------
    plan : PlasticityPlan
    dt : float
        Step [ms].
    signed : bool
        Whether stored weights carry a sign.
    syntax : RuleSyntax

    Attributes
    ----------
    numbers : list of float
        What the texts name by `argument`, in its order; grows while parts are printed.
    uses_random : bool
    evolving : bool
        Whether states change between events.
    record : int
        Numbers that the history keeps of an event of the target: its step, traces, states.
    """

    def __init__(self, plan: PlasticityPlan, dt: float, signed: bool, syntax: RuleSyntax) -> None:
        self.plan, self.dt, self.signed, self.syntax = plan, dt, signed, syntax
        self.functions = syntax.functions
        self.numbers: list[float] = []
        self._names: dict[str, str] = {}
        self.pre = plan.traces["presynaptic"]
        self.post = plan.traces["postsynaptic"]
        self.modulator = plan.traces["modulator"]
        read = [a.value for steps in plan.events.values() for a in steps]
        read += [] if plan.prune is None else [plan.prune]
        self.uses_random = any("random@" in s for e in read for s in symbols(e))
        self.evolving = bool(plan.evolutions)
        self.record = 1 + len(self.post) + len(plan.at_spike)

    @abstractmethod
    def modulator_at(self, names: set[str], when: str) -> list[str]:
        """Return traces of the modulator as the synapse sees them."""

    @abstractmethod
    def count_events(self) -> list[str]:
        """Return what counts the events of the target in the step of event `p`, before it."""

    # ---- expressions

    def value(self, name: str, number: float) -> str:
        """Return the text of a number that is an argument of the kernels."""
        if name not in self._names:
            self._names[name] = self.syntax.argument.format(len(self.numbers))
            self.numbers.append(number)
        return self._names[name]

    def _symbol(self, name: str) -> str:
        if name == "dt":
            return self.value("dt", self.dt)
        if name == "t":
            return f"(REAL(now)*{self.value('dt', self.dt)})"
        if name in self.plan.values:
            return self.value(f"parameter {name}", self.plan.values[name])
        if name.startswith("random@"):
            return self.syntax.random.format(name[7:])
        return f"v_{flat(name)}"

    def seen(self, s: Seen) -> str:
        """Return the name of what is seen of the target."""
        return self._symbol(s.symbol)

    def expression(self, e: Expression) -> str:
        """Return the text of an expression."""
        return Printer(self._symbol, self.functions, self.syntax.number)(e)

    def decayed(self, trace: Trace, then: str, steps: str) -> str:
        """Return the text of a trace `steps` steps after it had the value `then`."""
        rate = self.value(f"rate {trace.name}", -trace.rate * self.dt)
        if trace.rate == 0.0:
            return then
        factor = f"{self.functions['exp']}({rate}*REAL({steps}))"
        if trace.rest == 0.0:
            return f"{then}*{factor}"
        rest = self.value(f"rest {trace.name}", trace.rest)
        return f"{rest} + ({then} - {rest})*{factor}"

    def evolved(self, e: Evolution) -> str:
        """Return the text of a state `elapsed` steps later, from traces ``v_..._0`` as of then."""
        exp, exprel = self.functions["exp"], self.functions["exprel"]
        rates = {t.name: t.rate for ts in self.plan.traces.values() for t in ts}
        rates |= {s.name: s.rate for s in self.plan.evolutions}
        own = self.value(f"own rate {e.name}", -e.rate * self.dt)
        text = f"v_{e.name}*{exp}({own}*elapsed)" if e.rate else f"v_{e.name}"
        for j, term in enumerate(e.terms):
            rate = sum(rates.get(n, 0.0) for n in term.traces)
            factor = self.value(f"factor {e.name} {j}", term.factor * self.dt)
            apart = self.value(f"apart {e.name} {j}", (e.rate - rate) * self.dt)
            product = "*".join(
                f"v_{n}_0" if n not in (*self.plan.states, WEIGHT) else f"v_{n}"
                for n in term.traces
            )
            product = f"*{product}" if product else ""
            decay = f"*{exp}({own}*elapsed)" if e.rate else ""
            text += f" + {factor}{product}*elapsed{decay}*{exprel}({apart}*elapsed)"
        return text

    def clip(self) -> str:
        """Return the assignment that keeps the weight within its bounds."""
        low = self.value("low", self.plan.bounds[0])
        high = self.value("high", self.plan.bounds[1])
        return f"v_w = {self.functions['min']}({self.functions['max']}(v_w, {low}), {high})"

    # ---- statements

    def assign(self, a: Assignment) -> list[str]:
        """Return a statement, and the limit of the weight after one that sets it."""
        lines = [f"v_{flat(a.target)} = {self.expression(a.value)}"]
        return [*lines, self.clip()] if a.target == WEIGHT else lines

    def statements(self, event: str, levels: tuple[str, ...], wanted: set[str]) -> list[str]:
        """Return the statements of some levels, leaving out versions that nobody reads."""
        kept: list[Assignment] = []
        for a in reversed(self.plan.events[event]):
            if a.level in levels and (a.level == "synapse" or a.target in wanted):
                kept.append(a)
                wanted |= symbols(a.value)
        return [line for a in reversed(kept) for line in self.assign(a)]

    def own_statements(self) -> list[str]:
        """Return what a spike does to the traces of its source."""
        return [
            line
            for a in self.plan.events["on_pre"]
            if a.level == "presynaptic"
            for line in self.assign(a)
        ]

    def keep_own(self) -> list[str]:
        """Return what keeps what a spike did to the traces of its source.

        Until the synapse has caught up, their names mean what they were at the target's events.
        """
        left = {self.plan.last["on_pre"][t.name] for t in self.pre}
        kept = sorted({*self.reads("on_pre"), *left} & self.pre_versions())
        return [f"n_{flat(n)} = v_{flat(n)}" for n in kept]

    def own_again(self) -> list[str]:
        """Return what gives those names the meaning they have at the source's spike."""
        kept = sorted(self.reads("on_pre") & self.pre_versions())
        return [f"v_{flat(n)} = n_{flat(n)}" for n in kept]

    def reads(self, event: str) -> set[str]:
        """Return the names that the synapses' own statements of an event read."""
        found = {
            s for a in self.plan.events[event] if a.level == "synapse" for s in symbols(a.value)
        }
        if event == "on_pre":
            found |= symbols(self.plan.transmit)
        chain = set(found)
        for a in reversed(self.plan.events[event]):
            if a.target in chain:
                chain |= symbols(a.value)
        return chain

    def pre_versions(self) -> set[str]:
        """Return the names that presynaptic statements leave for the synapses."""
        made = {a.target for a in self.plan.events["on_pre"] if a.level == "presynaptic"}
        return made | {f"{t.name}@0" for t in self.pre}

    def evolution_reads(self) -> set[str]:
        """Return the traces that states read while they change between events."""
        return {f"{n}@0" for e in self.plan.evolutions for term in e.terms for n in term.traces}

    def changed_states(self) -> list[str]:
        """Return the states of a synapse that some event, or time, changes."""
        changed = {a.target for e in self.plan.events.values() for a in e} | {
            e.name for e in self.plan.evolutions
        }
        return [s for s in self.plan.states if s in changed]

    # ---- what a synapse sees

    def at(self, p: str) -> str:
        """Return the text of the place of event `p` of the target."""
        return self.syntax.place.format(p, self.record)

    def arrival(self, p: str) -> str:
        """Return the text of the step in which event `p` of the target reaches the synapse."""
        return f"{self.syntax.step_kept.format(self.at(p))} + delay"

    def pre_at(self, names: set[str] | None, when: str) -> list[str]:
        """Return traces of the source at a time; None: all of them."""
        return [
            f"v_{t.name}_0 = " + self.decayed(t, self.syntax.then.format(t.name), f"{when} - past")
            for t in self.pre
            if names is None or f"{t.name}@0" in names
        ]

    def post_at(self, names: set[str], when: str, p: str) -> list[str]:
        """Return traces of the target as the synapse sees them after its event before `p`."""
        wanted = [(j, t) for j, t in enumerate(self.post) if f"{t.name}@0" in names]
        if not wanted:
            return []
        lines = [f"before = {self.at(p + ' - 1')}"]
        lines.append(f"since = {when} - {self.syntax.step_kept.format('before')} - delay")
        return lines + [self._post_since(j, t) for j, t in wanted]

    def _post_since(self, j: int, t: Trace) -> str:
        then = self.syntax.kept.format(f"before + {1 + j}")
        return f"v_{t.name}_0 = " + self.decayed(t, then, "since")

    def evolve(self, until: str) -> list[str]:
        """Return what advances states that change between events from `as_of`."""
        if not self.evolving:
            return []
        names, changing = self.evolution_reads(), self.plan.evolutions
        lines = [*self.pre_at(names, "as_of"), *self.post_at(names, "as_of", "p")]
        lines += self.modulator_at(names, "as_of")
        lines.append(f"elapsed = REAL({until} - as_of)")
        lines += [f"e_{e.name} = {self.evolved(e)}" for e in changing]
        lines += [f"v_{e.name} = e_{e.name}" for e in changing]
        lines.append(f"as_of = {until}")
        if any(e.name == WEIGHT for e in changing):
            lines.append(self.clip())
        return lines

    def seen_at(self, names: set[str], when: str) -> list[str]:
        """Return the states, and the traces of all, as they are at a time before event `p`."""
        return [
            *self.evolve(when), *self.pre_at(names, when), *self.post_at(names, when, "p"),
            *self.modulator_at(names, when),
        ]  # fmt: skip

    def post_event(self) -> list[str]:
        """Return what event `p` of the target does to a synapse that has seen the traces."""
        at, first = self.at("p"), 1 + len(self.post)
        lines = [
            f"{self.seen(s)} = {self.syntax.kept.format(f'{at} + {first + j}')}"
            for j, s in enumerate(self.plan.at_spike)
        ]
        if self.uses_random:
            lines += self.count_events()
        names = self.reads("on_post")
        return lines + self.statements("on_post", ("postsynaptic", "synapse"), names)

    # ---- the history of a target

    def traces_at_event(self, when: str) -> list[str]:
        """Return what its event number `c` does to the traces of a target."""
        left = {self.plan.last["on_post"][t.name] for t in self.post}
        return [
            f"before = {self.at('c - 1')}",
            f"since = {when} - {self.syntax.step_kept.format('before')}",
            *[self._post_since(j, t) for j, t in enumerate(self.post)],
            *self.statements("on_post", ("postsynaptic",), left),
        ]

    def keep_event(self, noted: Callable[[Seen], str]) -> list[str]:
        """Return what keeps the traces, and states with the texts that `noted` gives, `at` ..."""
        last = self.plan.last["on_post"]
        values = [f"v_{flat(last[t.name])}" for t in self.post]
        values += [noted(s) for s in self.plan.at_spike]
        return [self.syntax.keep.format(f"at + {j}", value) for j, value in enumerate(values, 1)]


def flat(name: str) -> str:
    """Return the name of a version of a trace as part of a variable's name."""
    return name.replace("@", "_")
