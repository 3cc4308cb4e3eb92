"""Options of the reference engine."""

from __future__ import annotations

from dataclasses import dataclass

from neurosim.engines.base import Engine, Runner
from neurosim.errors import ParameterError
from neurosim.lower.continuous import ContinuousPlan
from neurosim.lower.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Reference(Engine):
    """The reference engine: plain NumPy in float64, obviously right and slow.

    It steps every neuron in every step and generates synapses as plain lists; other engines are
    tested against it.
    """

    name = "reference"

    def prepare(self, plan: Plan | ContinuousPlan) -> Runner:
        """Build a network for this engine.

        Raises
        ------
        ParameterError
            In continuous time.
        """
        if isinstance(plan, ContinuousPlan):
            raise ParameterError(
                "engine 'reference' steps on a grid and cannot run in continuous time (dt=None); "
                "use engine='cpu', or a step such as dt=0.1."
            )
        from neurosim.engines.reference.runner import ReferenceRunner

        return ReferenceRunner(plan)
