"""The rule behind tripartite connections: third partners of the synapses of another projection."""

from __future__ import annotations

from dataclasses import dataclass, field

from neurosim.errors import NetworkError, ParameterError
from neurosim.network.rule import Rule

POOLS = ("random", "block")
SIDES = ("in", "out")


@dataclass(frozen=True)
class ThirdFactor(Rule):
    """Connect to third partners (astrocytes) of a primary projection; see `Network.tripartite`.

    Every synapse of the primary projection gets, with probability `p`, a partner that is drawn
    from the pool of its target. ``side="in"`` connects sources of these synapses to the partners,
    ``side="out"`` the partners to the targets; both draw the same partners.

    Parameters
    ----------
    primary : str
        Name of the primary projection.
    side : {"in", "out"}
    p : float, default 1.0
        Probability that a synapse gets a partner.
    pool_size : int, optional
        Number of partners that a target may have; default: all.
    pool : {"random", "block"}, default "random"
        ``"random"``: each target's pool is drawn, without repetition. ``"block"``: pools are
        consecutive; with a pool of one, consecutive targets share a partner, and their number is
        a multiple of that of the partners; larger pools do not overlap and need
        ``pool_size * targets`` partners.

    Raises
    ------
    ParameterError
        If `p` is outside 0 ... 1, or `side` or `pool` is none of the words above.
    """

    primary: str
    side: str
    p: float = field(default=1.0, kw_only=True)
    pool_size: int | None = field(default=None, kw_only=True)
    pool: str = field(default="random", kw_only=True)

    def __post_init__(self) -> None:
        for name, words in (("side", SIDES), ("pool", POOLS)):
            if getattr(self, name) not in words:
                raise ParameterError(
                    f"ThirdFactor: {name} = {getattr(self, name)!r}; choose one of "
                    f"{', '.join(words)}."
                )
        if not isinstance(self.p, int | float) or not 0.0 <= self.p <= 1.0:
            raise ParameterError(
                f"ThirdFactor: p = {self.p!r}; a probability between 0 and 1 is needed."
            )
        if self.pool_size is not None:
            self._check_count("pool_size")

    def size_of_pool(self, partners: int) -> int:
        """Return the number of partners of each target."""
        return partners if self.pool_size is None else self.pool_size

    def check_pool(self, partners: int, targets: int, where: str) -> None:
        """Raise NetworkError if pools cannot be formed.

        Parameters
        ----------
        partners, targets : int
            Number of possible third partners, and of targets of the primary projection.
        where : str
            The call to name in a message.
        """
        size = self.size_of_pool(partners)
        if not 1 <= size <= partners:
            raise NetworkError(
                f"{where}: pool_size = {size}, but there are {partners} third partners; choose "
                f"1 to {partners}."
            )
        if self.pool == "random":
            return
        if size == 1 and targets % partners:
            raise NetworkError(
                f"{where}: pool='block' with pool_size=1 shares each of {partners} third partners "
                f"among equally many of {targets} targets; use a divisor of {targets}."
            )
        if size > 1 and size * targets != partners:
            raise NetworkError(
                f"{where}: pool='block' with pool_size={size} needs {size * targets} third "
                f"partners for {targets} targets, not {partners}."
            )
