"""Synapses that are listed one by one, also by SciPy, NetworkX and SONATA."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import NetworkError
from neurosim.network.rule import Rule
from neurosim.units import is_quantity, magnitude, plain_numbers

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Explicit(Rule):
    """Connect the listed pairs.

    Parameters
    ----------
    pre, post : (n_synapses,) array_like of int
        Indices within the two views given to `connect`.
    weight, delay : (n_synapses,) float64 array, optional
        Filled by `from_scipy`, `from_networkx` and `from_sonata`; `connect` uses them unless it
        is given its own. Weight in the unit of the receptor, delay [ms].

    Raises
    ------
    NetworkError
        If the arrays differ in shape, or an index is no whole number or negative.

    Examples
    --------
    >>> Explicit([0, 0, 2], [1, 2, 1])
    Explicit(<3 synapses>)
    """

    pre: Ids
    post: Ids
    weight: NDArray[np.float64] | None = field(default=None, kw_only=True)
    delay: NDArray[np.float64] | None = field(default=None, kw_only=True)

    if TYPE_CHECKING:  # what may be given; the fields say what is kept

        def __init__(
            self,
            pre: ArrayLike,
            post: ArrayLike,
            *,
            weight: ArrayLike | None = None,
            delay: ArrayLike | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        pre, post = _indices(self.pre, "pre"), _indices(self.post, "post")
        if pre.shape != post.shape:
            raise NetworkError(
                f"Explicit: pre has shape {pre.shape} and post {post.shape}; give one of each for "
                "every synapse."
            )
        object.__setattr__(self, "pre", pre)
        object.__setattr__(self, "post", post)
        for name in ("weight", "delay"):
            value = getattr(self, name)
            if value is None:
                continue
            array = _values(value, name)
            if array.shape != pre.shape:
                raise NetworkError(
                    f"Explicit: {name} has shape {array.shape}, but there are {pre.size} synapses."
                )
            object.__setattr__(self, name, array)

    def __repr__(self) -> str:
        return f"Explicit(<{self.pre.size} synapses>)"

    def check(self, n_pre: int, n_post: int, overlap: int, where: str) -> None:
        """Raise NetworkError if an index lies outside its view."""
        for name, ids, size in (("pre", self.pre, n_pre), ("post", self.post, n_post)):
            outside = np.flatnonzero(ids >= size)
            if outside.size:
                raise NetworkError(
                    f"{where}: {outside.size} of {ids.size} {name} ids are outside 0 ... "
                    f"{size - 1} (first: {ids[outside[0]]} at synapse {outside[0]})."
                )

    @classmethod
    def from_scipy(cls, matrix: Any) -> Explicit:
        """Return the synapses of a SciPy sparse matrix or array.

        Parameters
        ----------
        matrix : sparse matrix, shape (n_pre, n_post)
            Rows are sources, columns are targets; the stored numbers (explicit zeros too) are
            the weights. Transpose it first if the columns are the sources.

        Returns
        -------
        Explicit
            With `weight`; `connect` uses it unless given another.

        Examples
        --------
        >>> from scipy.sparse import csr_array
        >>> rule = Explicit.from_scipy(csr_array([[0.0, 2.0], [3.0, 0.0]]))
        >>> rule.pre, rule.post, rule.weight
        (array([0, 1]), array([1, 0]), array([2., 3.]))
        """
        if not hasattr(matrix, "tocoo"):
            raise NetworkError(
                f"Explicit.from_scipy: a SciPy sparse matrix is needed, not "
                f"{type(matrix).__name__}. Try scipy.sparse.csr_array(...)."
            )
        coo = matrix.tocoo()
        if len(coo.shape) != 2:
            raise NetworkError(
                f"Explicit.from_scipy: the array has shape {coo.shape}; (n_pre, n_post) is needed."
            )
        return cls(coo.row, coo.col, weight=coo.data)

    @classmethod
    def from_networkx(
        cls, graph: Any, *, weight: str | None = "weight", delay: str | None = None
    ) -> Explicit:
        """Return the edges of a NetworkX graph as synapses.

        Parameters
        ----------
        graph : networkx graph
            Nodes are numbered in the order of ``graph.nodes``. An undirected edge becomes one
            synapse in each direction; the edges of a multigraph are multapses.
        weight, delay : str or None
            Edge attributes to read; None for none. If no edge has the attribute `weight`, the
            weights of `connect` hold.

        Raises
        ------
        NetworkError
            If only some of the edges have the attribute.
        """
        if not (hasattr(graph, "nodes") and hasattr(graph, "edges")):
            raise NetworkError(
                f"Explicit.from_networkx: a NetworkX graph is needed, not {type(graph).__name__}. "
                "Try networkx.DiGraph(edges)."
            )
        number = {node: i for i, node in enumerate(graph.nodes)}
        edges = [(number[a], number[b], data) for a, b, data in graph.edges(data=True)]
        if not graph.is_directed():
            edges += [(b, a, data) for a, b, data in edges if a != b]
        pre = np.array([a for a, _, _ in edges], np.int64)
        post = np.array([b for _, b, _ in edges], np.int64)
        values: dict[str, Any] = {}
        for name, attribute in (("weight", weight), ("delay", delay)):
            if attribute is None:
                continue
            given = [data[attribute] for _, _, data in edges if attribute in data]
            if given and len(given) < len(edges):
                raise NetworkError(
                    f"Explicit.from_networkx: {len(edges) - len(given)} of {len(edges)} edges "
                    f"have no attribute {attribute!r}; give it to all or pass {name}=None."
                )
            if name == "delay" and edges and not given:
                raise NetworkError(
                    f"Explicit.from_networkx: no edge has the attribute {attribute!r}."
                )
            values[name] = given or None
        return cls(pre, post, **values)

    @classmethod
    def from_sonata(
        cls, path: Any, population: str | None = None, *, edge_types: Any = None
    ) -> Explicit:
        """Return the edges of a SONATA edges file (HDF5).

        Parameters
        ----------
        path : path
            The edges file.
        population : str, optional
            Edge population; may be left out if the file has one.
        edge_types : path, optional
            The edge types file (CSV) for weights and delays that the edges file leaves to the
            type of the edge.

        Returns
        -------
        Explicit
            ``source_node_id`` and ``target_node_id``, with ``syn_weight`` (times ``nsyns`` where
            that is given) as `weight` and ``delay`` [ms] as `delay`, where given for every edge.

        Raises
        ------
        FileFormatError
            If the file lacks the population or what SONATA prescribes.
        """
        from neurosim.network.sonata import read_edges

        pre, post, values = read_edges(path, population, edge_types)
        return cls(pre, post, **values)


def _values(value: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return weights or delays [ms] as float64, refusing what is no number."""
    if name == "delay":
        value = magnitude(value, "ms", "Explicit: delay")
    elif is_quantity(value):
        raise NetworkError(
            "Explicit: weight has a unit, but the receptor is not known here; give it to connect."
        )
    try:
        return plain_numbers(value)
    except (TypeError, ValueError) as error:
        raise NetworkError(f"Explicit: {name}: numbers are needed ({error}).") from error


def _indices(ids: ArrayLike, name: str) -> Ids:
    """Return index arrays as int64, refusing what is not a flat list of whole numbers >= 0."""
    array = np.asarray(ids)
    if array.size == 0:
        array = array.astype(np.int64)
    if array.ndim != 1:
        raise NetworkError(f"Explicit: {name} has shape {array.shape}; a flat array is needed.")
    if not np.issubdtype(array.dtype, np.integer):
        raise NetworkError(f"Explicit: {name} has type {array.dtype}; whole numbers are needed.")
    if array.size and array.min() < 0:
        first = int(np.argmax(array < 0))
        raise NetworkError(
            f"Explicit: {name} id {array[first]} at synapse {first} is negative; ids count from 0."
        )
    if array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise NetworkError(f"Explicit: {name} id {array.max()} does not fit into 64 signed bits.")
    return array.astype(np.int64)
