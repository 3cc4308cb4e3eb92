"""Source lines for one synapse of a plastic projection: opening it, catching up, its statements."""

from __future__ import annotations

from collections.abc import Iterable

from neurosim.engines.cpu.emit_step import FUNCTIONS, number
from neurosim.engines.cpu.kernels import layout as L
from neurosim.engines.cpu.lines import indent
from neurosim.lower.plasticity import PlasticityPlan
from neurosim.lower.rule_text import RuleSyntax, RuleText
from neurosim.lower.step_text import Lines

_SYNTAX = RuleSyntax(
    functions=FUNCTIONS | {"**": "power({0}, {1})"}, number=number, argument="q{}",
    random="REAL(uniform(philox4(np.uint32(fetch(numbers, k)), np.uint32(now), np.uint32({}), "
           "np.uint32(round_), key0, key1)[0]))",
    then="then_{}_v", place="(ring + ({} & wrap)) * {}", kept="fetch(H, {})",
    step_kept="np.int64(fetch(HS, {}))", keep="store(H, {}, {})",
)  # fmt: skip


class SynapseEmitter(RuleText):
    """Prints what happens to one synapse of a rule.

    Parameters
    ----------
    plan : PlasticityPlan
    dt : float
        Step [ms].
    precision : {"float64", "float32"}
    signed : bool
        Whether stored weights carry a sign.
    target_states : sequence of str
        States of the target's model, in the order of its block.
    """

    def __init__(
        self, plan: PlasticityPlan, dt: float, precision: str, signed: bool,
        target_states: Iterable[str],
    ) -> None:  # fmt: skip
        super().__init__(plan, dt, signed, _SYNTAX)
        self.precision = precision
        self.target_states = list(target_states)

    # ---- pieces of the loop over synapses

    def function(self, kind: str, signature: str, lines: Lines) -> Lines:
        """Return a kernel of a kind (`UPDATE`, `HOOK`)."""
        return ["", "", f"@cfunc({kind}, **OPTIONS)", f"def {signature}:", *indent(lines)]

    def open_numbers(self) -> Lines:
        """Return the lines that open the table of a part, and what stands for its numbers."""
        return [
            f"X = view(table, {L.X_COLUMNS}, np.int64)",
            f"Q = view(X[{L.X_NUMBERS}], @numbers, REAL)",
            "@prologue",
        ]

    def _open_table(self) -> Lines:
        plan = self.plan
        lines = [
            *self.open_numbers(),
            f"bits, base, padded = X[{L.X_BITS}], X[{L.X_BASE}], X[{L.X_PADDED}]",
            "mask = (1 << bits) - 1",
            f"pointers = view(X[{L.X_POINTERS}], X[{L.X_SOURCES}] + 1, np.int64)",
            f"size = X[{L.X_SYNAPSES}]",
            f"packed = view(X[{L.X_PACKED}], size, np.uint32)",
            f"weights = view(X[{L.X_WEIGHTS}], size, REAL)",
            f"lasts = view(X[{L.X_LAST}], X[{L.X_SOURCES}], np.int32)",
        ]
        lines += [f"then_{t.name} = view(X[{L.X_PRE}] + {j} * X[{L.X_SOURCES}] * ITEM, "
                  f"X[{L.X_SOURCES}], REAL)" for j, t in enumerate(self.pre)]  # fmt: skip
        lines += [f"c_{s} = view(X[{L.X_STATES}] + {j} * size * ITEM, size, REAL)"
                  for j, s in enumerate(plan.states)]  # fmt: skip
        lines += self._open_history()
        if self.plan.spec.uses_modulator:
            lines += self._open_modulator()
        lines += self._open_samples()
        if self.uses_random:
            lines += [
                f"numbers = view(X[{L.X_RANDOM}], size, np.uint32)",
                f"rounds = view(X[{L.X_ROUNDS}], X[{L.X_SOURCES}], np.int32)",
                f"key0, key1 = np.uint32(X[{L.X_KEY0}]), np.uint32(X[{L.X_KEY1}])",
            ]
        return lines

    def _open_samples(self) -> Lines:
        """Return what opens the states that are kept of the last steps, if any are."""
        lines = [
            f"s_{s} = view(X[{L.X_SAMPLES}] + {j} * slots * n_post * ITEM, slots * n_post, REAL)"
            for j, s in enumerate(self.plan.sampled)
        ]
        return [f"slots, n_post = X[{L.X_SAMPLE_SLOTS}], X[{L.X_N}]", *lines] if lines else []

    def _sampled(self, state: str, steps: str) -> str:
        """Return a state of target `i` as it was some steps ago."""
        return f"fetch(s_{state}, ((step - {steps} + slots) % slots) * n_post + i)"

    def _open_history(self) -> Lines:
        return [
            f"capacity = X[{L.X_CAPACITY}]",
            f"H = view(X[{L.X_HISTORY}], X[{L.X_N}] * capacity * {self.record}, REAL)",
            f"HS = view(X[{L.X_HISTORY}], X[{L.X_N}] * capacity * {self.record}, WHOLE)",
            f"counts = view(X[{L.X_COUNTS}], X[{L.X_N}], np.int32)",
            "wrap = capacity - 1",
        ]

    def _open_modulator(self) -> Lines:
        width = max(1, len(self.modulator))
        return [
            f"m_wrap = X[{L.X_M_CAPACITY}] - 1",
            f"m_delay = X[{L.X_M_DELAY}]",
            f"M = view(X[{L.X_M_VALUES}], X[{L.X_M_CAPACITY}] * {width}, REAL)",
            f"MS = view(X[{L.X_M_STEPS}], X[{L.X_M_CAPACITY}], np.int64)",
            f"m_top = X[{L.X_M_COUNT}]",
        ]

    def _target(self) -> Lines:
        """Return lines that set the target of synapse k and the delay with which it sees it."""
        lines = ["word = fetch(packed, k)", "delay = np.int64(word >> bits)"]
        if self.plan.axonal:
            share = self.value("dendritic", 1.0 - 2.0 * self.plan.axonal)
            lines.append(f"delay = np.int64(np.rint(np.float64(delay)*{share}))")
        return [
            *lines,
            "i = np.int64(word & mask) - base",
            "while i >= padded:",
            "    i -= padded",
        ]

    def _open_synapse(self) -> Lines:
        lines = [
            *self._target(),
            "stored = fetch(weights, k)",
            "v_w = abs(stored)" if self.signed else "v_w = stored",
            *[f"v_{s} = fetch(c_{s}, k)" for s in self.plan.states],
            "top = np.int64(fetch(counts, i))",
            "ring = i * capacity",
            "p = top",
            f"while {self.arrival('p - 1')} > done:",
            "    p -= 1",
        ]
        if self.plan.spec.uses_modulator:
            lines += [
                "m = m_top",
                "while fetch(MS, (m - 1) & m_wrap) + m_delay > done:",
                "    m -= 1",
            ]
        if self.evolving:
            lines += [f"as_of = max(past, X[{L.X_EDGE}], {self.arrival('p - 1')})"]
            if self.plan.spec.uses_modulator:
                lines += ["as_of = max(as_of, fetch(MS, (m - 1) & m_wrap) + m_delay)"]
        return lines

    def _close_synapse(self) -> Lines:
        lines = ["store(weights, k, REAL(copysign(v_w, stored)))" if self.signed
                 else "store(weights, k, v_w)"] if self._changes_weight() else []  # fmt: skip
        return lines + [f"store(c_{s}, k, v_{s})" for s in self.changed_states()]

    def _changes_weight(self) -> bool:
        return self.plan.spec.changes_weights

    def modulator_at(self, names: set[str], when: str) -> Lines:
        """Return traces of the modulator as the synapse sees them after its event before `m`."""
        wanted = [(j, t) for j, t in enumerate(self.modulator) if f"{t.name}@0" in names]
        if not wanted:
            return []
        n = len(self.modulator)
        lines = [
            "m_before = (m - 1) & m_wrap",
            f"m_since = {when} - fetch(MS, m_before) - m_delay",
        ]
        return lines + [
            f"v_{t.name}_0 = " + self.decayed(t, f"fetch(M, m_before * {n} + {j})", "m_since")
            for j, t in wanted
        ]

    def _catch_up(self, limit: str) -> Lines:
        """Return the loop over the events that reached a synapse up to the step `limit`."""
        post = [*self.seen_at(self.reads("on_post"), "now"), *self.post_event(), "p += 1"]
        if not self.plan.spec.uses_modulator:
            return [
                "while p < top:",
                f"    now = {self.arrival('p')}",
                f"    if now > {limit}:",
                "        break",
                *indent(post),
            ]
        modulated = self.seen_at(self.reads("on_modulator"), "now")
        modulated += self.statements("on_modulator", ("modulator", "synapse"), set())
        return [
            "while True:",
            f"    now = {self.arrival('p')} if p < top else FOREVER",
            "    m_now = fetch(MS, m & m_wrap) + m_delay if m < m_top else FOREVER",
            f"    if min(now, m_now) > {limit}:",
            "        break",
            "    if now <= m_now:",
            *indent(post, 2),
            "    else:",
            "        now = m_now",
            *indent(modulated, 2),
            "        m += 1",
        ]

    def count_events(self) -> Lines:
        """Return what counts the events of the target in the step of event `p`, before it."""
        before, at = self.at("p - 1 - round_"), self.at("p")
        return [
            "round_ = 0",
            f"while fetch(HS, {before}) == fetch(HS, {at}):",
            "    round_ += 1",
        ]
