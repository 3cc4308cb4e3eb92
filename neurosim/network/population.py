"""Populations and views of parts of them."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import NetworkError
from neurosim.network.describe import members_table

if TYPE_CHECKING:
    from neurosim.network.network import Network

Index = int | slice | NDArray[Any] | list[Any]


class Population:
    """A group of neurons (or spike sources) of one model; made by `Network.population`.

    Attributes
    ----------
    name : str
        Unique within the network.
    n : int
        Number of members.
    model : Model
        What the members are, with their parameters.
    initial : dict of str to float, array or Distribution
        Initial values of states in their declared units.
    index : int
        Position among the populations of the network.
    """

    def __init__(
        self,
        network: Network,
        index: int,
        n: int,
        model: Any,
        name: str,
        initial: Mapping[str, Any],
    ) -> None:
        # A weak reference: the network owns its populations, not the other way round.
        self._network = weakref.ref(network)
        self.index = index
        self.n = n
        self.model = model
        self.name = name
        self.initial = dict(initial)

    @property
    def population(self) -> Population:
        """The population itself, so that populations and views can be used alike."""
        return self

    @property
    def ids(self) -> NDArray[np.int64]:
        """Ids of the members, 0 ... n - 1."""
        return np.arange(self.n, dtype=np.int64)

    @property
    def is_whole(self) -> bool:
        """True: all members in their own order."""
        return True

    @property
    def network(self) -> Network:
        """The network that the population belongs to."""
        network = self._network()
        if network is None:
            raise NetworkError(
                f"population {self.name!r}: its network is gone; keep a reference to it."
            )
        return network

    def belongs_to(self, network: Network) -> bool:
        """Return whether the population was made by `network`."""
        return self._network() is network

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: Index) -> PopulationView:
        return PopulationView(self, _select(self, index))

    def __repr__(self) -> str:
        return f"Population({self.name!r}, n={self.n}, {self.model!r})"

    def _repr_html_(self) -> str:
        """Return a table of the parameters, for notebooks."""
        return members_table(self)


class PopulationView:
    """Some members of a population, in a given order; made by indexing a population.

    Attributes
    ----------
    population : Population
        Where the members come from.
    ids : (n,) int64
        Their ids within the population.
    """

    def __init__(self, population: Population, ids: NDArray[np.int64]) -> None:
        self.population = population
        self.ids = ids
        self.ids.flags.writeable = False

    @property
    def name(self) -> str:
        """Name of the population."""
        return self.population.name

    @property
    def n(self) -> int:
        """Number of members in the view."""
        return self.ids.size

    @property
    def model(self) -> Any:
        """Model of the population."""
        return self.population.model

    @property
    def is_whole(self) -> bool:
        """Whether the view holds every member in its own order."""
        return bool(self.n == self.population.n and np.array_equal(self.ids, self.population.ids))

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: Index) -> PopulationView:
        return PopulationView(self.population, self.ids[_select(self, index)])

    def __repr__(self) -> str:
        return f"PopulationView({self.name!r}, n={self.n} of {self.population.n})"

    def _repr_html_(self) -> str:
        """Return a table of the parameters, for notebooks."""
        return members_table(self)


Target = Population | PopulationView


def overlap(pre: Target, post: Target) -> int:
    """Return how many neurons are in both."""
    if pre.population is not post.population:
        return 0
    if isinstance(pre, Population) or isinstance(post, Population):
        return min(pre.n, post.n)
    return int(np.intersect1d(pre.ids, post.ids).size)


def _select(target: Target, index: Index) -> NDArray[np.int64]:
    """Return the positions that an index chooses, checked."""
    what, n = f"{target.name}[...]", target.n
    if isinstance(index, slice):
        try:
            chosen = np.arange(n, dtype=np.int64)[index]
        except (TypeError, ValueError) as error:
            raise NetworkError(f"{what}: {index!r} is no range of ids ({error}).") from error
    else:
        array = np.asarray(index)
        if array.dtype == bool:
            if array.shape != (n,):
                raise NetworkError(
                    f"{what}: the mask has shape {array.shape}; one of shape ({n},) is needed."
                )
            chosen = np.flatnonzero(array).astype(np.int64)
        else:
            chosen = _positions(array, n, what)
    if chosen.size == 0:
        raise NetworkError(f"{what}: {index!r} selects no member of {n}.")
    return chosen


def _positions(array: NDArray[Any], n: int, what: str) -> NDArray[np.int64]:
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise NetworkError(
            f"{what}: indices of type {array.dtype}; use a slice, whole numbers or a boolean mask."
        )
    if array.ndim > 1:
        raise NetworkError(f"{what}: indices of shape {array.shape}; a flat array is needed.")
    chosen = np.atleast_1d(array).astype(np.int64)
    outside = (chosen < -n) | (chosen >= n)
    if outside.any():
        raise NetworkError(
            f"{what}: id {chosen[outside][0]} is out of range; ids are 0 ... {n - 1}."
        )
    chosen = np.where(chosen < 0, chosen + n, chosen)
    values, counts = np.unique(chosen, return_counts=True)
    if values.size < chosen.size:
        raise NetworkError(f"{what}: id {values[counts > 1][0]} is chosen more than once.")
    return chosen
