"""Graphs of NIR: reading files, and the chain of nodes that a graph is."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neurosim.errors import FileFormatError, ParameterError, require

#: Nodes that hold a state, through which a loop may lead.
NEURONS = ("LIF", "IF", "LI", "I", "CubaLIF", "CubaLI")


# --- files


def read_graph(path: str | Path) -> Any:
    """Read a graph from a file, node by node, without checking its types.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    graph : nir.NIRGraph

    Raises
    ------
    FileNotFoundError
        If there is no file.
    FileFormatError
        If it is damaged or no NIR; the node is named.
    MissingPackageError
        If nir is not installed.
    """
    nir: Any = require("nir", "nir", "load_nir")
    h5py: Any = require("h5py", "nir", "load_nir")
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: no such file.")
    try:
        with h5py.File(path, "r") as file:
            content = nir.serialization.hdf2dict(file)
    except OSError as error:
        raise FileFormatError(f"{path}: not a NIR (HDF5) file, or damaged: {error}.") from error
    root = content.get("node")
    if not isinstance(root, dict) or root.get("type") != "NIRGraph":
        raise FileFormatError(f"{path}: no graph in it (/node of type NIRGraph); is it a NIR file?")
    return _graph(nir, str(path), "", root)


def _graph(nir: Any, path: str, name: str, content: Mapping[str, Any]) -> Any:
    where = f"{path}: graph {name!r}" if name else path
    if not isinstance(content.get("nodes"), dict) or "edges" not in content:
        raise FileFormatError(f"{where}: a graph needs 'nodes' and 'edges'.")
    nodes = {}
    for key, node in content["nodes"].items():
        full = f"{name}.{key}" if name else key
        kind = node.get("type") if isinstance(node, dict) else None
        if kind == "NIRGraph":
            nodes[key] = _graph(nir, path, full, node)
            continue
        if not isinstance(kind, str) or kind not in nir.ir.__all__:
            raise FileFormatError(
                f"{path}: node {full!r} has the type {kind!r}, which nir {nir.version} does not "
                "know."
            )
        try:
            nodes[key] = nir.dict2NIRNode(dict(node))
        except (AssertionError, KeyError, TypeError, ValueError, IndexError) as error:
            raise FileFormatError(
                f"{path}: node {full!r} ({kind}) cannot be read: {type(error).__name__}: {error}."
            ) from error
    try:
        edges = [(_text(a), _text(b)) for a, b in content["edges"]]
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"{where}: 'edges' are not pairs of names.") from error
    metadata = dict(content.get("metadata", {}))
    return nir.NIRGraph(nodes, edges, metadata=metadata, type_check=False)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


# --- chains


@dataclass
class Link:
    """A node of a chain, with the node that feeds its output back to it."""

    name: str
    node: Any
    back: str | None = None


@dataclass
class Wiring:
    """The nodes of a graph and its subgraphs, and what each is connected to."""

    nodes: dict[str, Any] = field(default_factory=dict)
    after: dict[str, list[str]] = field(default_factory=dict)
    before: dict[str, list[str]] = field(default_factory=dict)

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


def chain(graph: Any) -> tuple[list[Link], Wiring]:
    """Return the nodes of a graph from its input to its output.

    Parameters
    ----------
    graph : nir.NIRGraph
        Subgraphs are resolved.

    Raises
    ------
    ParameterError
        If the graph is no chain of nodes, or a loop does not lead from a neuron through one
        connection back to it; the nodes are named.
    """
    wiring = Wiring()
    _collect(graph, "", wiring)
    first, last = (_end(wiring, kind) for kind in ("Input", "Output"))
    backs = _take_loops_out(wiring)
    _check_loops(wiring)
    links, name = [], first
    while True:
        links.append(Link(name, wiring.nodes[name], backs.get(name)))
        if name == last:
            break
        followers = wiring.after[name]
        if len(followers) != 1:
            raise ParameterError(
                f"NIR node {name!r} leads to {_listed(followers)}; only graphs that are a chain "
                "can become a Sequential."
            )
        (follower,) = followers
        if len(wiring.before[follower]) > 1:
            raise ParameterError(
                f"NIR node {follower!r} gets input from {_listed(wiring.before[follower])}; only "
                "graphs that are a chain can become a Sequential."
            )
        name = follower
    used = {link.name for link in links} | {b for b in backs.values() if b}
    lost = [n for n in wiring.nodes if n not in used]
    if lost:
        raise ParameterError(f"NIR: not between Input and Output: {_listed(lost)}.")
    return links, wiring


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


def _take_loops_out(wiring: Wiring) -> dict[str, str]:
    """Remove the nodes that feed a neuron back to itself; return them by the neuron."""
    backs: dict[str, str] = {}
    for name, node in wiring.nodes.items():
        if type(node).__name__ not in NEURONS:
            continue
        if name in wiring.after[name]:
            backs[name] = ""  # its own spikes, as they are
            wiring.after[name].remove(name)
            wiring.before[name].remove(name)
        for other in list(wiring.after[name]):
            if wiring.before[other] == [name] and wiring.after[other] == [name]:
                if name in backs:
                    raise ParameterError(
                        f"NIR node {name!r} is fed back by {backs[name] or name!r} and {other!r}; "
                        "one recurrent connection can be read."
                    )
                backs[name] = other
                wiring.after[name].remove(other)
                wiring.before[name].remove(other)
    return backs


def _check_loops(wiring: Wiring) -> None:
    """Raise a ParameterError if there is still a loop."""
    waiting = {n: len(b) for n, b in wiring.before.items()}
    ready = [n for n, count in waiting.items() if not count]
    while ready:
        name = ready.pop()
        del waiting[name]
        for b in wiring.after[name]:
            if b in waiting:
                waiting[b] -= 1
                if not waiting[b]:
                    ready.append(b)
    loop = set(waiting)
    while ends := {n for n in loop if not loop.intersection(wiring.after[n])}:
        loop -= ends  # what only follows a loop is no part of it
    if not loop:
        return
    if not any(type(wiring.nodes[n]).__name__ in NEURONS for n in loop):
        raise ParameterError(
            f"NIR: a loop without a neuron, through {_listed(sorted(loop))}: its signal would go "
            "round within one step."
        )
    raise ParameterError(
        f"NIR: a loop through {_listed(sorted(loop))}; only a loop of one neuron node and one "
        "connection (Linear, Affine, Conv2d, Scale) can be read."
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(n) for n in names) or "nothing"
