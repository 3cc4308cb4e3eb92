"""Source lines of the event kernels: neurons that sleep until something can make them spike.

See `neurosim.lower.sleep` for the bound. A neuron carries the step of its last update; it is
advanced over the steps that passed by tabulated powers of its propagator. During the refractory
time the held states stand still and the others decay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from neurosim.engines.cpu.emit_step import Lines, StepEmitter, indent
from neurosim.engines.cpu.kernels import layout
from neurosim.lower.model import LoweredModel
from neurosim.lower.sleep import Sleep

if TYPE_CHECKING:
    from neurosim.engines.cpu.codegen import Coefficients


#: Entries of the list of touched neurons that memory is asked for ahead of their use.
_AHEAD = 12


def event_lines(model: LoweredModel, sleep: Sleep, coefficients: Coefficients) -> Lines:
    """Return the kernels of the event strategy: event, settle, advance, peek."""
    return _EventEmitter(model, sleep, coefficients).lines()


class _EventEmitter:
    def __init__(self, model: LoweredModel, sleep: Sleep, coefficients: Coefficients) -> None:
        self.model = model
        self.sleep = sleep
        self.coefficient = coefficients
        self.step = StepEmitter(model, coefficients)
        self.rest = [f"f_{s}" for s in model.states]
        self.held_rows = [s for s in model.states if s in model.hold]

    def lines(self) -> Lines:
        """Return all kernels."""
        return [
            *self._power(), *self._kernel("event", self._event()),
            *self._kernel("settle", self._settle()), *self._kernel("advance", self._advance_all()),
            *self._peek(),
        ]  # fmt: skip

    # ---- pieces

    def _power(self) -> Lines:
        """Return functions that apply k steps to z, for all states and for those not held."""
        lines: Lines = []
        for name, frozen in (("power", ()), ("power_held", tuple(self.held_rows))):
            arguments = ", ".join(f"z_{s}" for s in self.model.states)
            lines += ["", "", "@njit(**INLINE)", f"def {name}(T, k, {arguments}):"]
            body = ["level = 0", "while k > 0:"]
            inner = [f"digit = k & {layout.BASE - 1}", "if digit:"]
            apply = []
            for row in self.model.states:
                if row in frozen:
                    continue
                terms = [
                    f"T[level, digit, {k}] * z_{c}"
                    for k, (r, c) in enumerate(self.sleep.entries)
                    if r == row and c not in frozen
                ]
                apply.append(f"w_{row} = {' + '.join(terms) or 'ZERO'}")
            apply += [f"z_{s} = w_{s}" for s in self.model.states if s not in frozen]
            inner += indent(apply or ["pass"])
            inner += [f"k >>= {layout.BASE.bit_length() - 1}", "level += 1"]
            lines += indent([*body, *indent(inner), f"return ({arguments},)"])
        return lines

    def _kernel(self, name: str, body: Lines) -> Lines:
        sleep = self.sleep
        head = [
            *self.step.prologue(),
            f"last = carray(pointer(B[{layout.LAST}]), (n,), np.int32)",
            f"T = carray(pointer(B[{layout.TABLES}]), "
            f"({layout.LEVELS}, {layout.BASE}, {len(sleep.entries)}), REAL)",
            f"awake = carray(pointer(B[{layout.AWAKE}]), (n,), np.int32)",
            f"is_awake = carray(pointer(B[{layout.IS_AWAKE}]), (n,), np.uint8)",
            "now = np.int32(step)",
        ]
        return ["", "", "@cfunc(KERNEL, **OPTIONS)", f"def {name}(block, step, row, out):",
                *indent([*head, *body])]  # fmt: skip

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

    def _to_now(self) -> Lines:
        """Return lines that compute z of neuron i at `now` (z_*, not written back)."""
        names = ", ".join(f"z_{s}" for s in self.model.states)
        lines = [*self._fixed_point(), *[f"z_{s} = x_{s}[i] - f_{s}" for s in self.model.states]]
        lines.append("k = np.int64(now) - np.int64(last[i])")
        if self.step.held:
            lines += [
                "rest = min(k, max(np.int64(0), np.int64(until[i]) - np.int64(last[i])))",
                "if rest > 0:",
                f"    {names}, = power_held(T, rest, {names})",
                "    k -= rest",
            ]
        return [*lines, f"{names}, = power(T, k, {names})"]

    def _store(self) -> Lines:
        return [*[f"x_{s}[i] = z_{s} + f_{s}" for s in self.model.states], "last[i] = now"]

    def _bound(self) -> Lines:
        """Return lines that set `safe`: neuron i, just updated, cannot spike unprompted."""
        sleep, c = self.sleep, self.coefficient
        if not sleep.margin:
            return ["safe = True"]
        names = ", ".join(f"z_{s}" for s in self.model.states)
        lines = [*self._fixed_point(), *[f"z_{s} = x_{s}[i] - f_{s}" for s in self.model.states]]
        if self.step.held:
            lines += [
                "if until[i] > now:",
                f"    {names}, = power_held(T, np.int64(until[i]) - np.int64(now), {names})",
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
        lines.append(f"safe = ceiling < -{slack} * (ONE + abs({theta}))")
        return lines

    def _test(self, i_reset: Lines) -> Lines:
        if self.model.spec.threshold is None:
            return []
        test = self.step.printer(lambda s: f"x_{s}[i]")(self.model.spec.threshold)
        if self.step.held:
            test = f"{test} and until[i] < now"
        return [f"if {test}:", *indent(i_reset)]

    def _neuron_of(self, channel: str) -> Lines:
        """Return lines that set `i` to the neuron of a channel."""
        wraps = ["if i >= n:", "    i -= n"] * (len(self.model.receptors) - 1)
        return [f"i = {channel}", *wraps]

    def _ask_ahead(self) -> Lines:
        """Return lines that ask for the memory of an entry to come: the list is in no order."""
        arrays = ["last", "is_awake", *(f"x_{s}" for s in self.model.states)]
        arrays += ["until"] if self.step.held else []
        return [
            f"ahead = np.int64(touched[min(q + {_AHEAD}, n_touched[0] - 1)])",
            "prefetch(arrivals, ahead)",
            *self._neuron_of("ahead"),
            *(f"prefetch({name}, i)" for name in arrays),
        ]

    def _arrive(self) -> Lines:
        """Return lines that add what arrived.

        Where two receptors act on one state they are applied together and in order, so that the
        sum does not depend on which was listed first.
        """
        receptors = self.model.receptors
        targets = [s for _, effects in receptors for s, _ in effects]
        together = len(set(targets)) < len(targets)
        lines: Lines = []
        for k, (name, effects) in enumerate(receptors):
            index = f"{k} * n + i"
            text = "(ZERO if held else arrived)" if name in self.model.ignore else "arrived"
            apply = [
                f"arrived = arrivals[{index}]",
                f"arrivals[{index}] = UNTOUCHED",
                *(f"x_{s}[i] += {self.step.weighted(name, s, f, text)}" for s, f in effects),
            ]
            lines += apply if together else [f"if channel == {index}:", *indent(apply)]
        return lines

    # ---- kernels

    def _event(self) -> Lines:
        lines = [
            f"arrivals = carray(pointer(row), ({len(self.model.receptors)} * n,), REAL)",
            "spikes = carray(pointer(out), (n,), np.int32)",
            f"n_touched = carray(pointer(B[{layout.N_TOUCHED}]), (1,), np.int64)",
            f"touched = carray(pointer(B[{layout.TOUCHED}]), (B[{layout.CAPACITY}],), np.int32)",
            f"n_awake = B[{layout.N_AWAKE}]",
            "for q in range(n_touched[0]):",
        ]
        touch = [*self._ask_ahead(), "channel = np.int64(touched[q])", *self._neuron_of("channel")]
        touch += ["if last[i] != now:", *indent([*self._to_now(), *self._store()])]
        if self.step.held:
            touch.append("held = until[i] >= now")
        touch += self._arrive()
        touch += [
            "if is_awake[i] == 0:",
            *indent(["is_awake[i] = 1", "awake[n_awake] = np.int32(i)", "n_awake += 1"]),
        ]
        lines += indent(touch)
        spike = [*self.step.reset(), "spikes[count] = np.int32(i)", "count += 1"]
        check = [
            "i = np.int64(awake[q])",
            "if last[i] != now:", *indent([*self._to_now(), *self._store()]),
            *self._bad(), *self._test(spike), *self._bound(),
            "if safe:", "    is_awake[i] = 0",
            "else:", "    awake[kept] = np.int32(i)", "    kept += 1",
        ]  # fmt: skip
        return [
            *lines, "n_touched[0] = 0", "count = 0", "kept = 0", "for q in range(n_awake):",
            *indent(check), f"B[{layout.UPDATES}] += n_awake", f"B[{layout.N_AWAKE}] = kept",
            # spikes leave in the order of the neurons, whatever the order of the list
            "for a in range(1, count):",
            *indent(["b = a", "key = spikes[a]", "while b > 0 and spikes[b - 1] > key:",
                     "    spikes[b] = spikes[b - 1]", "    b -= 1", "spikes[b] = key"]),
            "return count",
        ]  # fmt: skip

    def _bad(self) -> Lines:
        total = " + ".join(f"x_{s}[i]" for s in self.model.states)
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
        head = self._kernel("peek", [])[4:]
        choose = [
            line
            for k, s in enumerate(self.model.states)
            for line in (f"if state == {k}:", f"    return np.float64(z_{s} + f_{s})")
        ]
        return [
            "", "", "@cfunc(PEEK, **OPTIONS)", "def peek(block, i, state, step):",
            *head, *indent([*self._to_now(), *choose, "return 0.0"]),
        ]  # fmt: skip
