"""Source lines of the event kernels: neurons that sleep until something can make them spike.

See `neurosim.lower.sleep` for the bound. A neuron carries the step of its last update; it is
advanced over the steps that passed by tabulated powers of its propagator. During the refractory
time the held states stand still and the others decay. While a population sleeps, each neuron is a
record (see `records`); `settle` alone looks at the arrays of the clock strategy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from neurosim.engines.cpu.emit_step import StepEmitter
from neurosim.engines.cpu.kernels import layout
from neurosim.engines.cpu.lines import indent
from neurosim.engines.cpu.records import Record
from neurosim.lower.model import LoweredModel
from neurosim.lower.sleep import Sleep
from neurosim.lower.step_text import Lines

if TYPE_CHECKING:
    from neurosim.engines.cpu.codegen import Coefficients


#: Events whose neurons are asked for ahead of their use (the driver asks for the first ones).
_AHEAD = 32
_DIGIT = layout.BASE.bit_length() - 1


def event_lines(
    model: LoweredModel, sleep: Sleep, coefficients: Coefficients, itemsize: int
) -> Lines:
    """Return the kernels of the event strategy: event, settle, advance, peek."""
    return _EventEmitter(model, sleep, coefficients, itemsize).lines()


def _in_place(name: str) -> str:
    """Return the text of a field of neuron i where it lies."""
    return f"{name}[i]"


def _taken(name: str) -> str:
    """Return the name of what was taken from a field of neuron i; it is put back in the end."""
    return f"my_{name}"


class _EventEmitter:
    def __init__(
        self, model: LoweredModel, sleep: Sleep, coefficients: Coefficients, itemsize: int
    ) -> None:
        self.record = Record(len(model.states), len(model.receptors), itemsize)
        self.itemsize = itemsize
        self.model = model
        self.sleep = sleep
        self.coefficient = coefficients
        self.step = StepEmitter(model, coefficients)
        self.rest = [f"f_{s}" for s in model.states]
        self.held_rows = [s for s in model.states if s in model.hold]

    def lines(self) -> Lines:
        """Return all kernels."""
        return [
            *self._power(),
            *self._kernel("event",
                [*self._open_tables(), *self.step.end_of_step(), *self._event()],
                self._open_records(),
            ),
            *self._kernel("settle", [*self._open_tables(), *self._open_arrays(), *self._settle()]),
            *self._kernel(
                "advance", [*self._open_tables(), *self._advance_all()], self._open_records()
            ),
            *self._peek(),
        ]  # fmt: skip

    # ---- pieces

    def _power(self) -> Lines:
        """Return functions that apply k steps to z, for all states and for those not held.

        The two lowest digits of k are applied always (digit 0 is the identity): a branch on them
        would be guessed wrong half of the time.
        """
        lines: Lines = []
        for name, frozen in (("power", ()), ("power_held", tuple(self.held_rows))):
            arguments = ", ".join(f"z_{s}" for s in self.model.states)
            apply = self._apply_power(frozen)
            lines += ["", "", "@njit(**INLINE)", f"def {name}(T, k, {arguments}):"]
            body = [
                f"at = (k & {layout.BASE - 1}) * {len(self.sleep.entries)}",
                *apply,
                f"k >>= {_DIGIT}",
                f"at = ({layout.BASE} + (k & {layout.BASE - 1})) * {len(self.sleep.entries)}",
                *apply,
                f"k >>= {_DIGIT}",
                f"level = 2 * {layout.BASE}",
                "while k > 0:",
                f"    at = (level + (k & {layout.BASE - 1})) * {len(self.sleep.entries)}",
                *indent(apply),
                f"    k >>= {_DIGIT}",
                f"    level += {layout.BASE}",
                f"return ({arguments},)",
            ]
            lines += indent(body)
        return lines

    def _apply_power(self, frozen: tuple[str, ...]) -> Lines:
        """Return lines that apply the tabulated matrix at `at` to z."""
        lines: Lines = []
        for row in self.model.states:
            if row in frozen:
                continue
            terms = [
                f"T[at + {k}] * z_{c}"
                for k, (r, c) in enumerate(self.sleep.entries)
                if r == row and c not in frozen
            ]
            lines.append(f"w_{row} = {' + '.join(terms) or 'ZERO'}")
        return lines + [f"z_{s} = w_{s}" for s in self.model.states if s not in frozen]

    def _open_tables(self) -> Lines:
        """Return the lines that open what every kernel of sleeping neurons reads."""
        size = layout.LEVELS * layout.BASE * len(self.sleep.entries)
        return [f"T = view(B[{layout.TABLES}], {size}, REAL)", "now = np.int32(step)"]

    def _open_awake(self) -> Lines:
        return [f"awake = view(B[{layout.AWAKE}], n, np.int32)"]

    def _open_arrays(self) -> Lines:
        """Return the lines that open what the clock strategy keeps in arrays."""
        return [
            *self._open_awake(),
            f"last = view(B[{layout.LAST}], n, np.int32)",
            f"is_awake = view(B[{layout.IS_AWAKE}], n, np.uint8)",
        ]

    def _open_records(self) -> Lines:
        """Return the lines that open the fields of the records."""
        record, base = self.record, f"B[{layout.RECORDS}]"
        inputs = [f"in{k}" for k in range(len(self.model.receptors))]
        floats = [*(f"x_{s}" for s in self.model.states), *inputs]
        fields = [(name, k * self.itemsize, "REAL") for k, name in enumerate(floats)]
        fields += [
            (name, offset, "np.int32")
            for name, offset in (
                ("last", record.last), ("until", record.until), ("is_awake", record.mark)
            )
        ]  # fmt: skip
        return [
            f"{name} = view_field({base} + {offset}, n, {record.nbytes}, {kind})"
            for name, offset, kind in fields
        ]

    def _kernel(self, name: str, body: Lines, records: Lines | None = None) -> Lines:
        return ["", "", "@cfunc(KERNEL, **OPTIONS)", f"def {name}(block, step, row, out):",
                *indent([*self.step.prologue(records), *body])]  # fmt: skip

    def _fixed_point(self) -> Lines:
        lines = []
        for s in self.model.states:
            terms = []
            if s in self.sleep.fixed_point:
                terms.append(self.coefficient(f"rest {s}", self.sleep.fixed_point[s]))
            if s in self.sleep.fixed_point_injected:
                slope = self.coefficient(f"rest injected {s}", self.sleep.fixed_point_injected[s])
                terms.append(f"{slope} * injected[i]")
            lines.append(f"f_{s} = {' + '.join(terms) or 'ZERO'}")
        return lines

    def _from_rest(self, at: Callable[[str], str]) -> Lines:
        """Return lines that compute z of neuron i: its distance from rest."""
        return [*self._fixed_point(),
                *[f"z_{s} = {at(f'x_{s}')} - f_{s}" for s in self.model.states]]  # fmt: skip

    def _to_now(self, at: Callable[[str], str] = _in_place) -> Lines:
        """Return lines that compute z of neuron i at `now` (z_*, not written back)."""
        names = ", ".join(f"z_{s}" for s in self.model.states)
        last, until = at("last"), at("until")
        lines = [*self._from_rest(at), f"k = np.int64(now) - np.int64({last})"]
        if self.step.held:
            lines += [
                f"rest = min(k, max(np.int64(0), np.int64({until}) - np.int64({last})))",
                "if rest > 0:",
                f"    {names}, = power_held(T, rest, {names})",
                "    k -= rest",
            ]
        return [*lines, f"{names}, = power(T, k, {names})"]

    def _store(self, at: Callable[[str], str] = _in_place) -> Lines:
        put = [f"{at(f'x_{s}')} = z_{s} + f_{s}" for s in self.model.states]
        return [*put, f"{at('last')} = now"]

    def _bound(self, at: Callable[[str], str] = _in_place) -> Lines:
        """Return lines that set `safe`: neuron i, just updated, cannot spike unprompted."""
        sleep, c = self.sleep, self.coefficient
        if not sleep.margin:
            total = " + ".join(at(f"x_{s}") for s in self.model.states)
            return [f"safe = abs({total}) < INFINITY"]
        names = ", ".join(f"z_{s}" for s in self.model.states)
        lines, until = self._from_rest(at), at("until")
        if self.step.held:
            lines += [
                f"if {until} > now:",
                f"    {names}, = power_held(T, np.int64({until}) - np.int64(now), {names})",
            ]
        theta = c("theta", sleep.theta)
        level = " + ".join(f"{c(f'margin {s}', v)} * f_{s}" for s, v in sleep.margin.items())
        lines.append(f"ceiling = {level} - {theta}")
        for s in self.model.states:
            if sleep.sup[s] == 0.0 and sleep.inf[s] == 0.0:
                continue
            high, low = c(f"sup {s}", sleep.sup[s]), c(f"inf {s}", sleep.inf[s])
            lines.append(f"ceiling = ceiling + max({high} * z_{s}, {low} * z_{s})")
        slack = "REAL(1e-9 if ITEM == 8 else 1e-5)"
        # a state that is no number, or infinite, is never safe: only then need it be looked for
        lines.append(f"safe = (ceiling < -{slack} * (ONE + abs({theta}))) & (ceiling > -INFINITY)")
        apart = [s for s in self.model.states if sleep.sup[s] == 0.0 and sleep.inf[s] == 0.0]
        return lines + [f"safe &= abs({at(f'x_{s}')}) < INFINITY" for s in apart]

    def _test(self, i_reset: Lines) -> Lines:
        if self.model.spec.threshold is None:
            return []
        test = self.step.printer(lambda s: _taken(f"x_{s}"), "t1")(self.model.spec.threshold)
        if self.step.held:
            test = f"{test} and {_taken('until')} < now"
        return [f"if {test}:", *indent(i_reset)]

    def _awaken(self) -> Lines:
        """Return lines that put neuron i on the awake list."""
        return [
            "if is_awake[i] == 0:",
            *indent(["is_awake[i] = 1", "awake[n_awake] = np.int32(i)", "n_awake += 1"]),
        ]

    def _from_ring(self) -> Lines:
        """Return the loop that takes input out of this step's slot of the ring."""
        n_receptors = len(self.model.receptors)
        take: Lines = ["channel = np.int64(touched[q])", "i = channel"]
        take += ["if i >= n:", "    i -= n"] * (n_receptors - 1)
        for k in range(n_receptors):
            here = "" if n_receptors == 1 else f"if channel == {k} * n + i:"
            move = [f"in{k}[i] = arrivals[channel]"]
            take += [here, *indent(move)] if here else move
        take += ["arrivals[channel] = UNTOUCHED", *self._awaken()]
        return [
            f"arrivals = view(row, {n_receptors} * n, REAL)",
            f"n_touched = view(B[{layout.N_TOUCHED}], 1, np.int64)",
            f"touched = view(B[{layout.TOUCHED}], n_touched[0], np.int32)",
            "for q in range(n_touched[0]):",
            *indent(take),
            "n_touched[0] = 0",
        ]

    def _from_list(self) -> Lines:
        """Return the loop that takes input out of this step's list; it came after the ring's."""
        n_receptors = len(self.model.receptors)
        width = self.record.nbytes // self.itemsize
        first = len(self.model.states)
        place = ["i = np.int64(channels[q])", f"at = {first}"]
        place += ["if i >= n:", *indent(["i -= n", "at += 1"])] * (n_receptors - 1)
        return [
            f"n_events = view(B[{layout.N_EVENTS}], 1, np.int64)",
            f"channels = view(B[{layout.EVENT_CHANNELS}], n_events[0], np.int32)",
            f"weights = view(B[{layout.EVENT_WEIGHTS}], n_events[0], REAL)",
            f"numbers = view(B[{layout.RECORDS}], n * {width}, REAL)",
            "n_listed = n_events[0]",
            "for q in range(n_listed):",
            *indent([
                f"i = np.int64(channels[min(q + {_AHEAD}, n_listed - 1)])",
                *["if i >= n:", "    i -= n"] * (n_receptors - 1),
                f"prefetch(numbers, i * {width})",
                *place,
                f"numbers[i * {width} + at] += weights[q]",
                *self._awaken(),
            ]),
            "n_events[0] = 0",
        ]  # fmt: skip

    def _arrive(self) -> Lines:
        """Return lines that add what arrived to neuron i, receptor by receptor."""
        lines: Lines = []
        if self.model.ignore:
            lines.append(f"held = {_taken('until')} >= now")
        for k, (name, effects) in enumerate(self.model.receptors):
            text = "(ZERO if held else arrived)" if name in self.model.ignore else "arrived"
            lines += [
                f"arrived = in{k}[i]",
                f"in{k}[i] = UNTOUCHED",
                *(
                    f"{_taken(f'x_{s}')} += {self.step.weighted(name, s, f, text)}"
                    for s, f in effects
                ),
            ]
        return lines

    # ---- kernels

    def _event(self) -> Lines:
        spike = [*self.step.reset(_taken), "spikes[count] = np.int32(i)", "count += 1"]
        # in variables: the compiler cannot know that no list that is written lies in the records
        fields = [*(f"x_{s}" for s in self.model.states), "last", "until"]
        check = [
            "i = np.int64(awake[q])",
            *[f"{_taken(f)} = {_in_place(f)}" for f in fields],
            f"if {_taken('last')} != now:",
            *indent([*self._to_now(_taken), *self._store(_taken)]),
            *self._arrive(), *self._test([*self._bad(), *spike]), *self._bound(_taken),
            *[f"{_in_place(f)} = {_taken(f)}" for f in fields],
            "if safe:", "    is_awake[i] = 0",
            "else:", *indent([*self._bad(), "awake[kept] = np.int32(i)", "kept += 1"]),
        ]  # fmt: skip
        return [
            *self._open_awake(), "spikes = view(out, n, np.int32)",
            f"n_awake = B[{layout.N_AWAKE}]", *self._from_ring(), *self._from_list(),
            "count = 0", "kept = 0", "for q in range(n_awake):",
            *indent(check), f"B[{layout.UPDATES}] += n_awake", f"B[{layout.N_AWAKE}] = kept",
            # spikes leave in the order of the neurons, whatever the order of the list
            "for a in range(1, count):",
            *indent(["b = a", "key = spikes[a]", "while b > 0 and spikes[b - 1] > key:",
                     "    spikes[b] = spikes[b - 1]", "    b -= 1", "spikes[b] = key"]),
            "return count",
        ]  # fmt: skip

    def _bad(self) -> Lines:
        total = " + ".join(_taken(f"x_{s}") for s in self.model.states)
        return [
            f"total = {total}",
            f"if total - total != ZERO and B[{layout.STATUS}] < 0:",
            f"    B[{layout.STATUS}] = i",
        ]

    def _settle(self) -> Lines:
        """All neurons are at `now`: put those that may spike unprompted on the list."""
        return [
            "kept = 0",
            f"for i in range(B[{layout.N_REAL}]):",
            *indent(["last[i] = now", *self._bound(), "is_awake[i] = 0", "if not safe:",
                     "    is_awake[i] = 1", "    awake[kept] = np.int32(i)", "    kept += 1"]),
            f"B[{layout.N_AWAKE}] = kept",
            "return kept",
        ]  # fmt: skip

    def _advance_all(self) -> Lines:
        """Bring every neuron to `now`."""
        return [
            f"for i in range(B[{layout.N_REAL}]):",
            "    if last[i] != now:",
            *indent([*self._to_now(), *self._store()], 2),
            "return 0",
        ]

    def _peek(self) -> Lines:
        """Return one state of one neuron at `step`, without writing."""
        choose = [
            line
            for k, s in enumerate(self.model.states)
            for line in (f"if state == {k}:", f"    return np.float64(z_{s} + f_{s})")
        ]
        head = [*self.step.prologue(self._open_records()), *self._open_tables()]
        return [
            "", "", "@cfunc(PEEK, **OPTIONS)", "def peek(block, i, state, step):",
            *indent([*head, *self._to_now(), *choose, "return 0.0"]),
        ]  # fmt: skip
