"""Text of a plasticity rule for engines that print code: what does not depend on the language.

Names of traces, states and locals get the prefix ``v_``, numbers of the rule are arguments. Texts
are expressions that Python and C++ read alike; `REAL(x)` converts to the precision of the kernel.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from neurosim.expressions import Expression, Printer, symbols
from neurosim.lower.evolution import Evolution
from neurosim.lower.plasticity import Assignment, PlasticityPlan, Seen, Trace
from neurosim.models.synapse_spec import WEIGHT


class RuleText(ABC):
    """Prints the parts of a rule.

    Parameters
    ----------
    plan : PlasticityPlan
    dt : float
        Step [ms].
    functions : mapping of str to str
        Names or templates of functions and operators, see `Printer`.
    literal : callable
        Returns the text of a number.

    Attributes
    ----------
    numbers : list of float
        What the texts name by `argument`, in its order; grows while parts are printed.
    uses_random : bool
    evolving : bool
        Whether states change between events.
    """

    def __init__(
        self, plan: PlasticityPlan, dt: float, functions: Mapping[str, str],
        literal: Callable[[float], str],
    ) -> None:  # fmt: skip
        self.plan, self.dt = plan, dt
        self.functions, self._literal = functions, literal
        self.numbers: list[float] = []
        self._names: dict[str, str] = {}
        self.pre = plan.traces["presynaptic"]
        self.post = plan.traces["postsynaptic"]
        self.modulator = plan.traces["modulator"]
        read = [a.value for steps in plan.events.values() for a in steps]
        read += [] if plan.prune is None else [plan.prune]
        self.uses_random = any("random@" in s for e in read for s in symbols(e))
        self.evolving = bool(plan.evolutions)

    @abstractmethod
    def argument(self, number: int) -> str:
        """Return the text of a number of the rule."""

    @abstractmethod
    def random(self, number: str) -> str:
        """Return the text of a random number of the synapse."""

    # ---- expressions

    def value(self, name: str, number: float) -> str:
        """Return the text of a number that is an argument of the kernels."""
        if name not in self._names:
            self._names[name] = self.argument(len(self.numbers))
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
            return self.random(name[7:])
        return "v_" + name.replace("@", "_")

    def seen(self, s: Seen) -> str:
        """Return the name of what is seen of the target."""
        return self._symbol(s.symbol)

    def expression(self, e: Expression) -> str:
        """Return the text of an expression."""
        return Printer(self._symbol, self.functions, self._literal)(e)

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
        lines = [f"v_{a.target.replace('@', '_')} = {self.expression(a.value)}"]
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
