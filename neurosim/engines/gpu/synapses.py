"""All synapses of a network as rows of one table on the device, which draws them itself.

A row belongs to a source and is ordered by delay, target and weight. Rows are in groups: of the
synapses of a population, those with a weight of their own are one group, and those that share a
weight another, which stores none. `Synapses` measures all projections, so that what they need
is known before it is allocated, and then fills the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from neurosim.engines.gpu.device import Device
from neurosim.engines.gpu.drawing import WEIGHTS, Drawing, Rows
from neurosim.engines.gpu.layout import Layout
from neurosim.engines.gpu.measured import RowGroup, above, number
from neurosim.engines.gpu.plastic import PlasticNetwork
from neurosim.engines.gpu.projections import refusal, row_of
from neurosim.engines.gpu.source import Format
from neurosim.engines.gpu.structs import GROUP
from neurosim.errors import NetworkError, unknown_name
from neurosim.lower.plan import ConnectionPlan, Plan
from neurosim.lower.quantize import BITS, units

#: Words up to which a synapse takes 32 bits.
_NARROW = 2**32
#: Which rows are drawn when they are delivered.
Procedural = bool | str | Sequence[str]


class Synapses:
    """The synapses of a network, which `build` puts on the device.

    Parameters
    ----------
    plan : Plan
        Its plastic projections are left out.
    layout : Layout
    device : Device
    form : Format
        Types of numbers.
    procedural : bool, str or sequence of str
        See `neurosim.engines.gpu.options.GPU`; ``"auto"`` is left to `draw_more`.
    plastic : PlasticNetwork, optional
        The other projections, whose input comes by the same ring.

    Attributes
    ----------
    delay_bits, n_slots : int
        Bits of a delay; slots of the ring, a power of two above the longest delay.
    scale : tuple of (n_rows,) float64
        Of each population: what one unit of each row of channels stands for.
    whole : float
        With deterministic sums: a power of two above all weights in their units.
    n_synapses, n_weighted : int
        Stored synapses, and those with a weight of their own.
    drawn : list of int
        Projections, by number, whose rows are drawn when they are delivered.

    Raises
    ------
    DelayError
        If a drawn delay rounds to less than one step.
    NetworkError
        If rows of a projection cannot be drawn when they are delivered.
    """

    def __init__(
        self, plan: Plan, layout: Layout, device: Device, form: Format, procedural: Procedural,
        plastic: PlasticNetwork | None = None,
    ) -> None:  # fmt: skip
        self._plan, self._layout, self._device, self._form = plan, layout, device, form
        self.connections = [c for c in plan.connections if c.plasticity is None]
        self._drawing = Drawing(plan, layout, device, form, self.connections)
        self._rows, self._measured = self._drawing.rows, self._drawing.measured
        self._counts = self._drawing.counts
        self.records = self._drawing.records
        self.drawn = self._chosen(procedural)
        self.whole = 2.0**BITS
        longest = max([1, *(int(m["LONGEST_DELAY"]) for m in self._measured)])
        if plastic:
            longest = max(longest, *plastic.longest_delays())
        self.delay_bits = longest.bit_length()
        self.n_slots = 1 << self.delay_bits
        self.scale = self._scales(plastic)
        self._arrange()

    # ---- what there is

    def _scales(self, plastic: PlasticNetwork | None) -> tuple[np.ndarray, ...]:
        """Return the scales of each population: the units of its weights, else 1."""
        if not self._form.deterministic:
            return tuple(np.ones(rows) for rows in self._layout.rows)
        largest = [np.zeros(rows) for rows in self._layout.rows]
        for c, m in zip(self.connections, self._measured, strict=True):
            for receptor, name in zip(c.spec.receptors, ("POSITIVE", "NEGATIVE"), strict=True):
                of = largest[c.post]
                of[receptor] = max(of[receptor], number(m[name]))
        if plastic:
            plastic.note_largest(largest)
        degrees = self._drawing.degrees if self._form.narrow else None
        found = units(self._plan, largest, degrees)
        if self._form.narrow:  # weights do not take all bits of their sums
            parts = [w / u for w, u in zip(largest, found, strict=True)]
            self.whole = max([1.0, *(above(float(x)) for part in parts for x in part if x)])
        return found

    # ---- which rows are drawn when they are delivered

    def _chosen(self, procedural: Procedural) -> list[int]:
        reasons = self._refusals()
        if isinstance(procedural, bool) or procedural == "auto":
            return [k for k, r in enumerate(reasons) if r is None] if procedural is True else []
        names = {c.name: k for k, c in enumerate(self.connections)}
        chosen = []
        for name in [procedural] if isinstance(procedural, str) else procedural:
            if name not in names:
                raise unknown_name("static projection", name, names, "GPU(procedural=...)")
            reason = reasons[names[name]]
            if reason is not None:
                raise NetworkError(
                    f"GPU: procedural names projection {name!r}, but {reason}. Leave it out, or "
                    "use FixedProbability, FixedOutdegree or FixedTotalNumber."
                )
            chosen.append(names[name])
        return sorted(set(chosen))

    def _refusals(self) -> list[str | None]:
        return [refusal(c.spec, r) for c, r in zip(self.connections, self._rows, strict=True)]

    def drawable(self) -> list[int]:
        """Return the stored projections whose rows could be drawn when they are delivered."""
        return [k for k, r in enumerate(self._refusals()) if r is None and k not in self.drawn]

    def draw_more(self, excess: Callable[[], int]) -> None:
        """Draw more projections at delivery, the largest first, until there is no excess."""
        for k in sorted(self.drawable(), key=lambda k: -self.size(k)):
            if excess() <= 0:
                break
            self.drawn = sorted([*self.drawn, k])
            self._arrange()

    # ---- where it goes

    def _arrange(self) -> None:
        """Divide what is stored into groups of rows: those with weights of their own first."""
        groups: dict[tuple[Any, ...], RowGroup] = {}
        for k, c in enumerate(self.connections):
            if k in self.drawn:
                continue
            weighted = not c.spec.constant
            amount = 0.0 if weighted else self._amount(c)
            key = (c.pre, weighted, amount)
            groups.setdefault(key, RowGroup(c.pre, weighted, amount, [])).members.append(k)
        for group in groups.values():
            if group.weighted:
                group.amount = self._set_units(group.members)
        self._groups = sorted(groups.values(), key=lambda g: (not g.weighted, g.population))
        first = 0
        for group in self._groups:
            group.first_row = first
            first += self._plan.populations[group.population].n
        lengths = [np.sum([self._counts[k] for k in g.members], axis=0) for g in self._groups]
        self._lengths = np.concatenate([np.zeros(0, np.int64), *lengths]).astype(np.int64)
        n_rows = sum(ls.size for g, ls in zip(self._groups, lengths, strict=True) if g.weighted)
        self.n_synapses = int(self._lengths.sum())
        self.n_weighted = int(self._lengths[:n_rows].sum())

    def _amount(self, c: ConnectionPlan) -> float:
        """Return what a synapse of a projection with one weight adds."""
        weight = c.spec.constant_weight
        if not self._form.deterministic:
            return weight
        return float(np.rint(weight / self._scale_of(c, c.spec.weight[1] < 0)))

    def _scale_of(self, c: ConnectionPlan, negative: bool) -> float:
        return float(self.scale[c.post][c.spec.receptors[negative]])

    def _set_units(self, members: Sequence[int]) -> float:
        """Set the units of weights that are stored together; return their common factor."""
        if not self._form.deterministic:
            factor = max(
                above(number(self._measured[k][sign]))
                for k in members
                for sign in ("POSITIVE", "NEGATIVE")
            )
            if self._form.half:
                for name in ("positive_unit", "negative_unit"):
                    self.records[name][members] = 1.0 / factor
            return factor
        factor = self.whole if self._form.half else 1.0  # from halves to whole numbers
        for k in members:
            for negative, name in enumerate(("positive_unit", "negative_unit")):
                scale = self._scale_of(self.connections[k], bool(negative))
                self.records[name][k] = 1.0 / (scale * factor)
        return factor

    def size(self, k: int) -> int:
        """Return how many bytes the stored synapses of a projection take."""
        each = self.word.itemsize + (0 if self.connections[k].spec.constant else self._weight_bytes)
        return each * self._measured[k]["N_SYNAPSES"]

    @property
    def word(self) -> np.dtype:
        """Type of a synapse."""
        wide = self._layout.n_channels << self.delay_bits > _NARROW
        return np.dtype(np.uint64 if wide else np.uint32)

    @property
    def _weight_bytes(self) -> int:
        return WEIGHTS[self._form.weight].itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all tables."""
        return (
            8 * (self._lengths.size + 1)
            + self.word.itemsize * self.n_synapses
            + self._weight_bytes * self.n_weighted
        )

    def n_items(self, chunk: int) -> int:
        """Return how many work items there are if every source spikes."""
        items = int((-(-self._lengths // chunk)).sum())
        for k in self.drawn:
            rows = self._rows[k]
            each = np.ones(rows.n_rows, np.int64) if rows.mode == "skip" else rows.degree
            items += int((-(-each // chunk)).sum())
        return items

    # ---- building

    def build(self) -> Rows:
        """Fill the rows of what is stored, and free what served to draw it."""
        members = [(k, group.first_row) for group in self._groups for k in group.members]
        self.rows = self._drawing.fill(
            members, self._lengths, self.n_weighted, self.delay_bits, self.word
        )
        for k in range(len(self.connections)):
            if k not in self.drawn:
                self._drawing.forget(k)
        return self.rows

    def drop(self) -> None:
        """Free the rows on the device; nothing can be delivered from them any more."""
        self.rows = Rows(None, None, None)

    def groups(self) -> np.ndarray:
        """Return the records of the groups of rows, by population."""
        records = np.zeros(len(self._groups), GROUP)
        for record, group in zip(records, self._by_population(), strict=True):
            record["first_row"], record["amount"] = group.first_row, group.amount
        return records

    def _by_population(self) -> list[RowGroup]:
        return sorted(self._groups, key=lambda g: g.population)

    def groups_of(self, population: int) -> tuple[int, int]:
        """Return the first group of a population in `groups`, and how many it has."""
        numbers = [g.population for g in self._by_population()]
        return numbers.index(population) if population in numbers else 0, numbers.count(population)

    def drawings(self) -> np.ndarray:
        """Return the records of the projections that are drawn at delivery, by population."""
        order = self._drawn_by_population()
        records = self.records[order]
        for record, k in zip(records, order, strict=True):
            c = self.connections[k]
            if c.spec.pre_ids is not None:
                n = self._plan.populations[c.pre].n
                record["row_of"] = self._drawing.put(k, row_of(c.spec, n))
            record["amount"] = self._amount(c) if c.spec.constant else self._set_units([k])
            for name in ("positive_unit", "negative_unit"):
                record[name] = self.records[name][k]
        return records

    def _drawn_by_population(self) -> list[int]:
        return sorted(self.drawn, key=lambda k: self.connections[k].pre)

    def drawn_of(self, population: int) -> tuple[int, int]:
        """Return the first projection of a population in `drawings`, and how many it has."""
        numbers = [self.connections[k].pre for k in self._drawn_by_population()]
        return numbers.index(population) if population in numbers else 0, numbers.count(population)
