"""Dendritic segments: many coincidence detectors for every cell, with synapses of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from neurosim.errors import NetworkError
from neurosim.models.segment import segment as default_segment
from neurosim.network.checks import whole_number
from neurosim.network.explicit import Explicit
from neurosim.network.population import Population, PopulationView, Target
from neurosim.network.rule import Rule

#: The receptor that means the segments of a cell.
RECEPTOR = "segment"


@dataclass(frozen=True, eq=False)
class Segments:
    """The segments of some cells.

    Attributes
    ----------
    cells : Population or PopulationView
        Whose they are.
    per_cell : int
        Number of segments of each cell.
    population : Population
        The segments: those of the k-th cell are ``k * per_cell`` and the following.
    """

    cells: Target
    per_cell: int
    population: Population

    def of(self, cells: Target, where: str) -> np.ndarray:
        """Return the ids of the segments of some cells: (n_cells, per_cell) int64."""
        position = np.full(self.cells.population.n, -1, np.int64)
        position[self.cells.ids] = np.arange(self.cells.n)
        rows = position[cells.ids]
        if (rows < 0).any():
            raise NetworkError(
                f"{where}: cell {cells.ids[np.argmin(rows)]} of {cells.name!r} has no segments; "
                "add them with net.segments(...)."
            )
        return rows[:, np.newaxis] * self.per_cell + np.arange(self.per_cell)


class SegmentedCells:
    """The part of a Network that gives cells dendritic segments."""

    _segments: dict[str, Segments]

    def segments(
        self: Any,
        cells: Target,
        per_cell: int,
        model: Any = None,
        *,
        weight: float = 100.0,
        delay: float = 1.0,
        receptor: str = "dendrite",
        name: str | None = None,
    ) -> Population:
        """Give every cell dendritic segments that detect coincident input.

        A segment whose input reaches its threshold spikes, and its spike reaches the cell: it
        depolarises it for a while (predictive state), by a weight on the cell's receptor.
        Synapses onto segments are made with ``connect(..., receptor="segment")``.

        Parameters
        ----------
        cells : Population or PopulationView
            Whose segments.
        per_cell : int
            Number of segments of each cell.
        model : NeuronModel, optional
            What a segment is; default ``ns.models.segment()``.
        weight : float, default 100.0
            Effect of a segment's spike on its cell, in the unit of the receptor.
        delay : float, default 1.0
            Time from the segment's spike to its effect [ms].
        receptor : str, default "dendrite"
            Receptor of the cell's model that segments act on (`iaf_psc_exp_dendrite` has one).
        name : str, optional
            Name of the population of segments; default ``"<cells>.segments"``.

        Returns
        -------
        Population
            The segments, for recording: those of the k-th cell are ``k * per_cell`` and the
            following.

        Raises
        ------
        NetworkError
            If the cells have segments already, or their model has no such receptor.

        Examples
        --------
        >>> import neurosim as ns
        >>> net = ns.Network()
        >>> cells = net.population(100, ns.models.iaf_psc_exp_dendrite(), name="cells")
        >>> dendrites = net.segments(cells, 16, ns.models.segment(theta=8.0))
        >>> net.connect(cells, cells, ns.FixedIndegree(20), receptor="segment").post
        Population('cells.segments', n=1600, segment(theta=8.0))
        """
        where = f"segments({getattr(cells, 'name', cells)})"
        self._check_target(cells, where)
        per_cell = whole_number(per_cell, f"{where}: per_cell", at_least=1)
        if cells.population.name in self._segments:
            raise NetworkError(
                f"{where}: these cells have segments already; make them in one call."
            )
        if receptor not in cells.model.receptors:
            raise NetworkError(
                f"{where}: {cells.model.name} has no receptor {receptor!r} for what segments do; "
                f"its receptors: {', '.join(cells.model.receptors) or 'none'}. "
                "iaf_psc_exp_dendrite has 'dendrite'."
            )
        population: Population = self.population(
            cells.n * per_cell,
            default_segment() if model is None else model,
            name=f"{cells.name}.segments" if name is None else name,
        )
        ids = np.arange(population.n)
        self.connect(
            population, cells, Explicit(ids, ids // per_cell), weight=weight, delay=delay,
            receptor=receptor, name=f"{population.name}->{cells.name}",
        )  # fmt: skip
        self.note_segments(Segments(cells, per_cell, population))
        return population

    @property
    def segmented(self) -> Mapping[str, Segments]:
        """The cells with segments, by the name of their population. Read only."""
        return MappingProxyType(self._segments)

    def note_segments(self, segments: Segments) -> None:
        """Let ``connect(..., receptor="segment")`` find the segments of some cells."""
        self._segments[segments.cells.population.name] = segments

    def _onto_segments(
        self, post: Target, rule: Rule, segment: ArrayLike | None, where: str
    ) -> tuple[Target, Rule]:
        """Return the segments that `connect` means, and the rule with them as targets."""
        found = self._segments.get(post.name)
        if found is None:
            raise NetworkError(
                f"{where}: {post.name!r} has no dendritic segments; add them with "
                "net.segments(cells, per_cell)."
            )
        ids = found.of(post, where)
        if segment is None:
            view = PopulationView(found.population, ids.ravel())
            target = found.population if view.is_whole else view
            if isinstance(rule, Explicit):
                raise NetworkError(
                    f"{where}: Explicit names cells; say which segment of its cell each synapse is "
                    "on with segment=[...]."
                )
            return target, rule
        if not isinstance(rule, Explicit):
            raise NetworkError(
                f"{where}: segment= goes with Explicit(pre, post); {type(rule).__name__} draws "
                "its synapses for every segment."
            )
        which = np.broadcast_to(np.asarray(segment), rule.post.shape)
        if which.dtype.kind not in "iu" or (which < 0).any() or (which >= found.per_cell).any():
            raise NetworkError(
                f"{where}: segment = {segment!r}; whole numbers from 0 to {found.per_cell - 1} are "
                "needed, one for each synapse."
            )
        rule.check(rule.pre.max(initial=0) + 1, post.n, 0, where)
        return found.population, replace(rule, post=ids[rule.post, which])
