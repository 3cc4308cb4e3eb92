"""What all connection rules have in common."""

from __future__ import annotations

import numbers
from dataclasses import dataclass, fields
from typing import Any

from neurosim.errors import ParameterError


@dataclass(frozen=True)
class Rule:
    """Base class of the connection rules."""

    def check(self, n_pre: int, n_post: int, overlap: int, where: str) -> None:
        """Raise NetworkError if the rule cannot be met.

        Parameters
        ----------
        n_pre, n_post : int
            Number of possible sources and targets.
        overlap : int
            Number of neurons that are on both sides.
        where : str
            The call to name in a message, such as ``"connect(exc -> inh)"``.
        """

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as plain data (see `rule_from_dict`)."""
        return {"rule": type(self).__name__} | {
            f.name: getattr(self, f.name) for f in fields(self) if f.init
        }

    def _check_count(self, name: str) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 0:
            raise ParameterError(
                f"{type(self).__name__}: {name} = {value!r}; a whole number >= 0 is needed."
            )
        object.__setattr__(self, name, int(value))
