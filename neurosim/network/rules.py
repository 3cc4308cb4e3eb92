"""Connection rules: which members of one population connect to which of another.

A rule is a small frozen description; `neurosim.lower.expand` says which synapses it makes.
Defaults of ``autapses`` (synapses of a neuron onto itself) and ``multapses`` (several synapses of
one pair) are NEST's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from neurosim.errors import NetworkError, ParameterError, unknown_name
from neurosim.network.explicit import Explicit
from neurosim.network.rule import Rule
from neurosim.network.third_factor import ThirdFactor


@dataclass(frozen=True)
class FixedProbability(Rule):
    """Connect each pair with probability `p`, independently; never twice.

    Parameters
    ----------
    p : float
        Probability, 0 to 1.
    autapses : bool, default True
        Whether a neuron may connect to itself.

    Raises
    ------
    ParameterError
        If `p` is outside 0 ... 1.
    """

    p: float
    autapses: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        try:
            p = float(self.p)
        except (TypeError, ValueError):
            p = math.nan
        if not 0.0 <= p <= 1.0:
            raise ParameterError(
                f"FixedProbability: p = {self.p!r}; a probability between 0 and 1 is needed."
            )
        object.__setattr__(self, "p", p)


@dataclass(frozen=True)
class FixedIndegree(Rule):
    """Give each target `k` sources, drawn uniformly.

    Parameters
    ----------
    k : int
        Synapses onto each target.
    autapses : bool, default True
        Whether a neuron may connect to itself.
    multapses : bool, default True
        Whether a pair may be connected more than once.
    """

    k: int
    autapses: bool = field(default=True, kw_only=True)
    multapses: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        self._check_count("k")

    def check(self, n_pre: int, n_post: int, overlap: int, where: str) -> None:
        """Raise NetworkError if there are fewer sources than `k` needs."""
        _check_pool(self, n_pre, overlap, "sources", where)


@dataclass(frozen=True)
class FixedOutdegree(Rule):
    """Give each source `k` targets, drawn uniformly.

    Parameters
    ----------
    k : int
        Synapses from each source.
    autapses : bool, default True
        Whether a neuron may connect to itself.
    multapses : bool, default True
        Whether a pair may be connected more than once.
    """

    k: int
    autapses: bool = field(default=True, kw_only=True)
    multapses: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        self._check_count("k")

    def check(self, n_pre: int, n_post: int, overlap: int, where: str) -> None:
        """Raise NetworkError if there are fewer targets than `k` needs."""
        _check_pool(self, n_post, overlap, "targets", where)


@dataclass(frozen=True)
class FixedTotalNumber(Rule):
    """Draw `n` synapses, each with a uniform source and a uniform target.

    Parameters
    ----------
    n : int
        Number of synapses.
    autapses : bool, default True
        Whether a neuron may connect to itself.
    multapses : bool, default True
        Whether a pair may be connected more than once.
    """

    n: int
    autapses: bool = field(default=True, kw_only=True)
    multapses: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        self._check_count("n")

    def check(self, n_pre: int, n_post: int, overlap: int, where: str) -> None:
        """Raise NetworkError if there are fewer pairs than `n` needs."""
        pairs = n_pre * n_post - (0 if self.autapses else overlap)
        if self.n > pairs and (not self.multapses or pairs == 0):
            raise NetworkError(
                f"{where}: {self!r} needs {1 if self.multapses else self.n} different pairs, but "
                f"there are {pairs}. Lower n or allow "
                f"{'autapses' if self.multapses else 'multapses'}."
            )


@dataclass(frozen=True)
class AllToAll(Rule):
    """Connect every source to every target.

    Parameters
    ----------
    autapses : bool, default True
        Whether a neuron connects to itself.
    """

    autapses: bool = field(default=True, kw_only=True)


@dataclass(frozen=True)
class OneToOne(Rule):
    """Connect the first source to the first target, the second to the second, and so on."""

    def check(self, n_pre: int, n_post: int, overlap: int, where: str) -> None:
        """Raise NetworkError if the two sides differ in size."""
        if n_pre != n_post:
            raise NetworkError(
                f"{where}: OneToOne needs equally many sources and targets, got {n_pre} and "
                f"{n_post}. Slice the larger side."
            )


RULES: dict[str, type[Rule]] = {
    r.__name__: r
    for r in (
        FixedProbability,
        FixedIndegree,
        FixedOutdegree,
        FixedTotalNumber,
        AllToAll,
        OneToOne,
        Explicit,
        ThirdFactor,
    )
}


def rule_from_dict(data: dict[str, Any]) -> Rule:
    """Return the rule that `Rule.to_dict` described.

    Examples
    --------
    >>> rule_from_dict(FixedIndegree(10, autapses=False).to_dict())
    FixedIndegree(k=10, autapses=False, multapses=True)
    """
    name = data["rule"]
    if name not in RULES:
        raise unknown_name("rule", name, RULES, "neurosim")
    return RULES[name](**{k: v for k, v in data.items() if k != "rule"})


def _check_pool(
    rule: FixedIndegree | FixedOutdegree, size: int, overlap: int, side: str, where: str
) -> None:
    pool = size - (1 if overlap and not rule.autapses else 0)
    needed = min(rule.k, 1) if rule.multapses else rule.k
    if needed > pool:
        raise NetworkError(
            f"{where}: {rule!r} needs {needed} different {side} for each neuron, but there are "
            f"{pool}. Lower k or allow {'autapses' if rule.multapses else 'multapses'}."
        )


def checked_rule(rule: Any, where: str) -> Rule:
    """Return a rule, `AllToAll()` for None, or raise NetworkError that says how to make one."""
    if rule is None:
        return AllToAll()
    if isinstance(rule, Rule):
        return rule
    given, remedy = f"rule = {rule!r}", "a rule such as AllToAll() is needed"
    if hasattr(rule, "tocoo"):
        given, remedy = "the rule is a sparse matrix", "use Explicit.from_scipy(matrix)"
    elif hasattr(rule, "edges"):
        given, remedy = "the rule is a graph", "use Explicit.from_networkx(graph)"
    elif hasattr(rule, "__len__") and not isinstance(rule, str):
        given = f"the rule is of type {type(rule).__name__}"
        remedy = "use Explicit(pre, post) for a list of pairs"
    raise NetworkError(f"{where}: {given}; {remedy}.")
