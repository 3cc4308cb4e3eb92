"""Neurons of several compartments: membranes coupled by conductances, written as one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from neurosim.errors import ModelError
from neurosim.models.base import NeuronModel
from neurosim.models.compartment import Compartment, Coupling, SpikeMechanism
from neurosim.models.compartment_equations import Parts

__all__ = ["Compartment", "CompartmentalModel", "Coupling", "SpikeMechanism", "compartmental"]


class CompartmentalModel(NeuronModel):
    """A neuron of several compartments; the equations are written from its parts.

    Subclass it (or call `compartmental`) with ``compartments``, ``couplings`` and, if it fires,
    ``spike``. Parameters and states are named after the compartment: ``soma_V_m``, ``dend_C_m``,
    ``dend_tau_syn_exc``; receptors too: ``dend_exc``. The result is an ordinary model, whose text
    is in ``equations``, so every engine runs it. Passive membranes and synaptic currents are linear
    and are integrated exactly, together; with conductances or active currents the potentials are
    integrated by ``method``: rk4, or rk45 where a coupling is so strong that rk4 would be unstable
    at steps of 0.1 ms.

    Raises
    ------
    ModelError
        If two compartments or couplings are the same, a coupling joins a compartment to itself,
        couplings form a loop, or a compartment is connected to no other.
    ParameterError
        If a coupling's conductance is below 0.
    UnknownNameError
        If a coupling or the spike names a compartment that does not exist.

    Examples
    --------
    >>> from neurosim.models import Compartment, Coupling, SpikeMechanism, nmda_synapse
    >>> class pyramidal(CompartmentalModel):
    ...     compartments = (
    ...         Compartment("soma", C_m=200.0, g_L=10.0, E_L=-60.0),
    ...         Compartment("dend", C_m=50.0, g_L=2.5, E_L=-60.0, nmda=nmda_synapse()),
    ...     )
    ...     couplings = (Coupling("soma", "dend", 15.0),)
    ...     spike = SpikeMechanism(V_th=-40.0, V_reset=-60.0)
    >>> list(pyramidal.receptors), list(pyramidal.states)
    (['dend_nmda'], ['soma_V_m', 'dend_V_m', 'dend_g_nmda'])
    """

    compartments: ClassVar[Sequence[Compartment]] = ()
    couplings: ClassVar[Sequence[Coupling]] = ()
    spike: ClassVar[SpikeMechanism | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if not cls.compartments:
            raise ModelError(
                f"{cls.__name__} has no compartments; give at least one, such as "
                "compartments = (Compartment('soma', C_m=200.0, g_L=10.0, E_L=-70.0),)."
            )
        given = [k for k in ("equations", "receptors", "threshold", "reset") if k in vars(cls)]
        if given:
            raise ModelError(
                f"{cls.__name__}: {given[0]} is written from the compartments; put your own lines "
                "into a Mechanism."
            )
        parts = Parts(cls.__name__, cls.compartments, cls.couplings, cls.spike)
        for key, value in parts.body().items():
            if key not in vars(cls):
                setattr(cls, key, value)
        super().__init_subclass__(**kwargs)

    def __init__(self, *, method: str | None = None, **values: Any) -> None:
        if not self.compartments:
            raise ModelError("CompartmentalModel is a base class; subclass it with compartments.")
        super().__init__(method=method, **values)


def compartmental(
    name: str,
    compartments: Sequence[Compartment],
    couplings: Sequence[Coupling] = (),
    spike: SpikeMechanism | None = None,
    *,
    method: str | None = None,
    doc: str = "",
) -> type[CompartmentalModel]:
    """Return a model of coupled compartments (see `CompartmentalModel`).

    Parameters
    ----------
    name : str
        Name of the model.
    compartments : sequence of Compartment
    couplings : sequence of Coupling
        A tree that reaches all of them.
    spike : SpikeMechanism, optional
        Without it the neuron never fires.
    method : str, optional
        How what is not linear is integrated; default: rk4, or rk45 for stiff neurons.
    doc : str
        Its docstring.

    Raises
    ------
    ModelError, ParameterError, UnknownNameError
        As for `CompartmentalModel`.
    """
    body: dict[str, Any] = {"compartments": tuple(compartments), "couplings": tuple(couplings)}
    body |= {"spike": spike, "__doc__": doc or None} | ({"method": method} if method else {})
    return type(name, (CompartmentalModel,), body)
