"""The wiring of a graph of NIR: subgraphs resolved, loops of neurons taken out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any

from neurosim.errors import ParameterError

#: Nodes that hold a state, through which a loop may lead.
NEURONS = ("LIF", "IF", "LI", "I", "CubaLIF", "CubaLI")
#: Nodes that can be in the way back to a neuron.
FEEDBACK = (
    "Linear", "Affine", "Conv1d", "Conv2d", "Scale", "Delay", "Flatten", "SumPool2d", "AvgPool2d",
)  # fmt: skip


@dataclass
class Wiring:
    """The nodes of a graph and its subgraphs, and what each is connected to.

    Attributes
    ----------
    nodes : dict
        By name; those of a subgraph have its name and a dot before theirs.
    after, before : dict of lists of str
        Where an edge leads to, or comes from.
    first, last : str
        The nodes where the signal enters and leaves.
    loops : dict of Wiring
        By the name of a neuron: the way back from its output (`first`) to its input (`last`).
    """

    nodes: dict[str, Any] = field(default_factory=dict)
    after: dict[str, list[str]] = field(default_factory=dict)
    before: dict[str, list[str]] = field(default_factory=dict)
    first: str = ""
    last: str = ""
    loops: dict[str, Wiring] = field(default_factory=dict)

    def connect(self, a: str, b: str) -> None:
        """Add an edge; a second of the same kind is dropped with a warning."""
        if b in self.after[a]:
            warnings.warn(
                f"NIR: the edge from {a!r} to {b!r} is there twice; it counts once.", stacklevel=2
            )
            return
        self.after[a].append(b)
        self.before[b].append(a)

    def add(self, name: str, node: Any) -> None:
        """Add a node."""
        self.nodes[name], self.after[name], self.before[name] = node, [], []

    def remove(self, name: str) -> None:
        """Take a node out, and connect what was before it with what was after it."""
        before, after = self.before.pop(name), self.after.pop(name)
        del self.nodes[name]
        for a in before:
            self.after[a].remove(name)
        for b in after:
            self.before[b].remove(name)
        for a in before:
            for b in after:
                self.connect(a, b)

    def without_loops(self) -> list[str]:
        """Return the names in an order in which each comes after what leads to it."""
        return list(TopologicalSorter(self.before).static_order())


def wiring_of(graph: Any) -> Wiring:
    """Return the wiring of a graph.

    Parameters
    ----------
    graph : nir.NIRGraph
        With one Input and one Output.

    Raises
    ------
    ParameterError
        If a node is not between them, or a loop is not one of connections around one neuron; the
        nodes are named.
    """
    wiring = Wiring()
    _collect(graph, "", wiring)
    wiring.first, wiring.last = (_end(wiring, kind) for kind in ("Input", "Output"))
    for loop in _loops(wiring, set(wiring.nodes)):
        _take_out(wiring, loop)
    used = _reached(wiring.after, wiring.first) & _reached(wiring.before, wiring.last)
    lost = [n for n in wiring.nodes if n not in used]
    if lost:
        raise ParameterError(f"NIR: not between Input and Output: {_listed(lost)}.")
    return wiring


def chains(wiring: Wiring) -> list[list[str]]:
    """Return the nodes in chains, each as long as nothing branches off or joins, in order."""
    found: list[list[str]] = []
    at_end: dict[str, list[str]] = {}
    for name in wiring.without_loops():
        before = wiring.before[name]
        if len(before) == 1 and len(wiring.after[before[0]]) == 1:
            chain = at_end.pop(before[0])
        else:
            chain = []
            found.append(chain)
        chain.append(name)
        at_end[name] = chain
    return found


def _collect(graph: Any, prefix: str, wiring: Wiring) -> None:
    """Add the nodes of a graph, with those of subgraphs in their place."""
    ends: dict[str, tuple[str, str]] = {}
    for key, node in graph.nodes.items():
        name = f"{prefix}{key}"
        if hasattr(node, "nodes"):
            _collect(node, f"{name}.", wiring)
            found = {kind: [k for k, n in node.nodes.items() if type(n).__name__ == kind]
                     for kind in ("Input", "Output")}  # fmt: skip
            for kind, names in found.items():
                if len(names) != 1:
                    raise ParameterError(
                        f"NIR: the subgraph {name!r} must have one {kind} node, not {len(names)}."
                    )
            ends[key] = (f"{name}.{found['Input'][0]}", f"{name}.{found['Output'][0]}")
        else:
            wiring.add(name, node)
            ends[key] = (name, name)
    for edge in graph.edges:
        for key in edge:
            if key not in ends:
                raise ParameterError(
                    f"NIR: the edge {tuple(edge)} names {key!r}, which is no node. Nodes: "
                    f"{', '.join(graph.nodes)}."
                )
        wiring.connect(ends[edge[0]][1], ends[edge[1]][0])
    for start, end in ends.values():
        if start != end:
            wiring.remove(start)
            wiring.remove(end)


def _end(wiring: Wiring, kind: str) -> str:
    names = [n for n, node in wiring.nodes.items() if type(node).__name__ == kind]
    if len(names) == 1:
        return names[0]
    if names:
        raise ParameterError(f"NIR: the graph has several {kind} nodes: {_listed(names)}; one is "
                             "needed.")  # fmt: skip
    sides = wiring.before if kind == "Input" else wiring.after
    open_ends = [n for n in wiring.nodes if not sides[n]]
    raise ParameterError(
        f"NIR: the graph has no {kind} node; without {kind.lower()} are {_listed(open_ends)}."
    )


def _reached(edges: dict[str, list[str]], start: str) -> set[str]:
    found, waiting = {start}, [start]
    while waiting:
        fresh = set(edges[waiting.pop()]) - found
        found |= fresh
        waiting += fresh
    return found


def _loops(wiring: Wiring, among: set[str]) -> list[list[str]]:
    """Return the sets of nodes that lead to each other, in the order of the graph."""
    inside = {n: [b for b in wiring.after[n] if b in among] for n in wiring.nodes if n in among}
    reach = {n: _reached(inside, n) for n in inside}
    loops, seen = [], set[str]()
    for name in inside:
        if name in seen or not any(name in reach[b] for b in inside[name]):
            continue
        loops.append([n for n in inside if n in reach[name] and name in reach[n]])
        seen.update(loops[-1])
    return loops


def _take_out(wiring: Wiring, loop: list[str]) -> None:
    """Move the way from a neuron back to it from a wiring into `loops`."""
    neurons = [n for n in loop if type(wiring.nodes[n]).__name__ in NEURONS]
    others = [n for n in loop if n not in neurons]
    if not neurons:
        raise ParameterError(
            f"NIR: a loop without a neuron, through {_listed(loop)}: its signal would go round "
            "within one step."
        )
    if len(neurons) > 1:
        raise ParameterError(
            f"NIR: a loop through {_listed(loop)}; only loops around one neuron node can be read, "
            f"and this has {_listed(neurons)}. Join them into one node with the weights of both."
        )
    (neuron,) = neurons
    if short := _loops(wiring, set(others)):
        _take_out(wiring, short[0])  # raises: it has no neuron
    for name in others:
        kind = type(wiring.nodes[name]).__name__
        if kind not in FEEDBACK:
            raise ParameterError(
                f"NIR node {name!r}: {kind} cannot be read in a loop; {', '.join(FEEDBACK)} can."
            )
        outside = [n for n in (*wiring.before[name], *wiring.after[name]) if n not in loop]
        if outside:
            raise ParameterError(
                f"NIR node {name!r} is in the loop of {neuron!r}, but also connected to "
                f"{_listed(outside)}; what is fed back can go to the neuron only."
            )
    back = Wiring(first=f"output of {neuron}", last=f"input of {neuron}")
    for name in (back.first, *others, back.last):
        back.add(name, wiring.nodes.get(name))
    for a in loop:
        for b in [b for b in wiring.after[a] if b in loop]:
            back.connect(back.first if a == neuron else a, back.last if b == neuron else b)
            wiring.after[a].remove(b)
            wiring.before[b].remove(a)
    for name in others:
        del wiring.nodes[name], wiring.after[name], wiring.before[name]
    wiring.loops[neuron] = back


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(n) for n in names) or "nothing"
