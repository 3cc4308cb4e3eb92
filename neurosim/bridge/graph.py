"""Graph: modules with branches whose outputs are added, over a sequence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from torch import nn

from neurosim.bridge.container import Sequential
from neurosim.bridge.layer import Layer, State
from neurosim.errors import ParameterError, unknown_name

#: The two ends of a graph.
INPUT, OUTPUT = "input", "output"


class Graph(Layer):
    """Modules connected without loops: each gets the sum of what leads to it.

    For branches and residual connections; loops are the business of `Recurrent`.

    Parameters
    ----------
    modules : mapping of str to nn.Module
        What `Sequential` takes. Names have no dots and are not "input" or "output".
    edges : iterable of (str, str)
        From where to where; ``"input"`` and ``"output"`` are the ends of the graph.

    Raises
    ------
    ParameterError
        If an edge is there twice, names what is not there or closes a loop, or a module has no
        input or leads nowhere.

    Examples
    --------
    >>> import torch
    >>> from neurosim.bridge import LIF
    >>> block = Graph({"lif": LIF(beta=0.9)}, [("input", "lif"), ("lif", "output"),
    ...                                        ("input", "output")])
    >>> block(torch.full((2, 1, 1), 2.0))[0].flatten().tolist()
    [3.0, 3.0]
    """

    def __init__(self, modules: Mapping[str, nn.Module], edges: Iterable[tuple[str, str]]) -> None:
        super().__init__()
        edges = _checked(modules, edges)
        self.nodes = nn.ModuleDict(
            {k: m if isinstance(m, Layer) else Sequential(m) for k, m in modules.items()}
        )
        self.edges = edges
        self.sources: dict[str, list[str]] = {name: [] for name in (*self.nodes, OUTPUT)}
        for a, b in self.edges:
            for name, known in ((a, (INPUT, *self.nodes)), (b, tuple(self.sources))):
                if name not in known:
                    raise unknown_name("module", name, known, f"Graph: the edge {(a, b)}")
            if a in self.sources[b]:
                raise ParameterError(f"Graph: the edge {(a, b)} is there twice.")
            self.sources[b].append(a)
        self.order = self._sorted()

    def _sorted(self) -> tuple[str, ...]:
        begun = {a for a, _ in self.edges}
        for name, sources in self.sources.items():
            if not sources or name not in (begun | {OUTPUT}):
                what = "leads nowhere" if sources else "has no input"
                raise ParameterError(f"Graph: {name!r} {what}.")
        try:
            order = tuple(TopologicalSorter(self.sources).static_order())
        except CycleError as error:
            raise ParameterError(
                f"Graph: a loop through {', '.join(map(repr, error.args[1][1:]))}; for recurrent "
                "connections use Recurrent."
            ) from error
        return tuple(name for name in order if name not in (INPUT, OUTPUT))

    def forward(self, x: Any, state: State | None = None) -> tuple[Any, dict[str, Any]]:
        """Run the graph over a sequence.

        Parameters
        ----------
        x : [T, B, ...] tensor
        state : dict, optional
            By the name of a module: the state to start it from.

        Returns
        -------
        out : [T, B, ...] tensor
        states : dict

        Raises
        ------
        ParameterError
            From a module, or if what is to be added has different shapes; the module is named.
        """
        if state is not None and not isinstance(state, Mapping):
            raise ParameterError(
                f"Graph: the state is a {type(state).__name__}; a dict of the modules' states such "
                "as the one that was returned is needed."
            )
        given = dict(state or {})
        for key in given:
            if key not in self.nodes:
                raise unknown_name("module", key, tuple(self.nodes), "Graph")
        found: dict[str, Any] = {INPUT: x}
        states: dict[str, Any] = {}
        for name in self.order:
            total = self._total(name, found)
            try:
                found[name], after = self.nodes[name](total, given.get(name))
            except ParameterError as error:
                raise ParameterError(f"module {name!r}: {error}") from error
            if after:
                states[name] = after
        return self._total(OUTPUT, found), states

    def _total(self, name: str, found: Mapping[str, Any]) -> Any:
        first, *others = (found[source] for source in self.sources[name])
        for source, more in zip(self.sources[name][1:], others, strict=True):
            if more.shape != first.shape:
                raise ParameterError(
                    f"Graph: {name!r} gets {list(first.shape)} from {self.sources[name][0]!r}, "
                    f"but {list(more.shape)} from {source!r}, which cannot be added."
                )
        return sum(others, start=first) if others else first

    def extra_repr(self) -> str:
        """Return the edges."""
        return ", ".join(f"{a} -> {b}" for a, b in self.edges)


def _checked(modules: Any, edges: Any) -> tuple[tuple[str, str], ...]:
    """Return the edges of a graph as pairs of names."""
    if not isinstance(modules, Mapping):
        raise ParameterError(
            f"Graph: the modules are a {type(modules).__name__}; a dict of modules by name is "
            "needed. For a chain use Sequential."
        )
    for name, module in modules.items():
        if not isinstance(module, nn.Module):
            raise ParameterError(f"Graph: {name!r} is {module!r}, no module.")
    found = [tuple(e) if isinstance(e, tuple | list) else (e,) for e in edges]
    for edge in found:
        if len(edge) != 2:
            raise ParameterError(
                f"Graph: the edge {edge[0] if len(edge) == 1 else edge!r} is no pair of names, "
                'such as ("input", "fc").'
            )
    return tuple((a, b) for a, b in found)
