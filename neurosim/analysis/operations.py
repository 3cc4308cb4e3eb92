"""Operations: what a network computes for a sample, sparse or dense, and what that might cost.

Definitions are those of NeuroBench (Yik et al. 2025, Nat. Commun. 16:1545): dense synaptic
operations count every activation and every connection, zero or not; effective ones leave out zero
activations and zero weights, and are accumulates (AC) where the activations are -1, 0 or 1, else
multiply-accumulates (MAC). Biases do not count.
"""

from __future__ import annotations

import html
import importlib
from dataclasses import dataclass
from typing import Any

from neurosim.errors import require


@dataclass(frozen=True, kw_only=True)
class EnergyTable:
    """Energy of an operation [pJ].

    The defaults are 32-bit floating point in 45 nm at 0.9 V: an addition 0.9 pJ, a multiplication
    3.7 pJ (Horowitz 2014, ISSCC, "Computing's energy problem", fig. 1.1.9). Memory, which costs
    more than arithmetic on most hardware, communication and leakage are left out: use the numbers
    to compare networks, not to predict a device.

    Attributes
    ----------
    ac, mac : float
        An accumulate; a multiply-accumulate.
    update : float
        Advancing one neuron by a step: a multiply-accumulate (more for several states).
    """

    ac: float = 0.9
    mac: float = 4.6
    update: float = 4.6


HOROWITZ_45NM = EnergyTable()


@dataclass(frozen=True, kw_only=True)
class LayerOperations:
    """Totals over all samples of what one layer of connections or neurons did.

    Attributes
    ----------
    name : str
    dense, macs, acs : int
        Synaptic operations: dense, and effective ones of both kinds.
    connections, zero_connections : int
        Weights, and those of them that are zero.
    activations, active : int
        Outputs of spiking neurons over all steps, and those of them that are not zero.
    neuron_steps : int
        Neurons times steps: updates of neurons if each is advanced in every step.
    """

    name: str
    dense: int = 0
    macs: int = 0
    acs: int = 0
    connections: int = 0
    zero_connections: int = 0
    activations: int = 0
    active: int = 0
    neuron_steps: int = 0


@dataclass(frozen=True, kw_only=True)
class Operations:
    """Operations of a network, by layer and for an average sample.

    Attributes
    ----------
    layers : tuple of LayerOperations
    n_steps, n_samples : int
    updates : int
        Neurons advanced by a step, over all samples.
    footprint : int
        Bytes of all parameters and buffers; of a run: of synapses, states and tables.

    Examples
    --------
    >>> layer = LayerOperations(name="fc", dense=2000, acs=100, connections=50)
    >>> found = Operations(
    ...     layers=(layer,), n_steps=20, n_samples=2, updates=0, footprint=200
    ... )
    >>> found.dense, found.effective_acs, found.energy()["ann_once"]
    (1000.0, 50.0, 230.0)
    """

    layers: tuple[LayerOperations, ...]
    n_steps: int
    n_samples: int
    updates: int
    footprint: int

    def _total(self, name: str) -> int:
        return sum(int(getattr(layer, name)) for layer in self.layers)

    def _mean(self, name: str) -> float:
        return self._total(name) / max(1, self.n_samples)

    @property
    def dense(self) -> float:
        """Dense synaptic operations a sample."""
        return self._mean("dense")

    @property
    def effective_macs(self) -> float:
        """Effective multiply-accumulates a sample."""
        return self._mean("macs")

    @property
    def effective_acs(self) -> float:
        """Effective accumulates a sample."""
        return self._mean("acs")

    @property
    def synaptic_operations(self) -> float:
        """Effective synaptic operations of both kinds a sample."""
        return self.effective_macs + self.effective_acs

    @property
    def spikes(self) -> float:
        """Spikes of all neurons a sample (the input's are not counted)."""
        return self._mean("active")

    @property
    def neuron_updates(self) -> float:
        """Neurons advanced by a step, a sample."""
        return self.updates / max(1, self.n_samples)

    @property
    def activation_sparsity(self) -> float:
        """Fraction of the outputs of spiking neurons, over all steps, that are zero."""
        activations = self._total("activations")
        return 1.0 - self._total("active") / activations if activations else float("nan")

    @property
    def connection_sparsity(self) -> float:
        """Fraction of the weights that are zero."""
        connections = self._total("connections")
        return self._total("zero_connections") / connections if connections else float("nan")

    def energy(self, table: EnergyTable = HOROWITZ_45NM) -> dict[str, float]:
        """Return estimates of the arithmetic of a sample [pJ].

        Parameters
        ----------
        table : EnergyTable

        Returns
        -------
        energy : dict
            ``synapses`` (effective operations), ``neurons`` (updates) and their sum ``total``;
            ``ann_once``: the same connections as a conventional network that sees the sample once,
            with all multiply-accumulates; ``ann_every_step``: that sees every step.
        """
        synapses = self.effective_macs * table.mac + self.effective_acs * table.ac
        neurons = self.neuron_updates * table.update
        every = self.dense * table.mac
        return {
            "synapses": synapses, "neurons": neurons, "total": synapses + neurons,
            "ann_once": every / max(1, self.n_steps), "ann_every_step": every,
        }  # fmt: skip

    def _rows(self) -> list[tuple[str, str]]:
        energy = self.energy()
        return [
            ("samples", f"{self.n_samples} of {self.n_steps} steps"),
            ("synaptic operations, dense", f"{self.dense:,.0f}"),
            ("effective MACs", f"{self.effective_macs:,.0f}"),
            ("effective ACs", f"{self.effective_acs:,.0f}"),
            ("spikes", f"{self.spikes:,.0f}"),
            ("neuron updates", f"{self.neuron_updates:,.0f}"),
            ("neurons times steps", f"{self._mean('neuron_steps'):,.0f}"),
            ("activation sparsity", f"{self.activation_sparsity:.4f}"),
            ("connection sparsity", f"{self.connection_sparsity:.4f}"),
            ("footprint", f"{self.footprint:,} bytes"),
            ("energy of arithmetic", f"{1e-3 * energy['total']:,.3f} nJ"),
            ("the same as ANN, once", f"{1e-3 * energy['ann_once']:,.3f} nJ"),
            ("the same as ANN, every step", f"{1e-3 * energy['ann_every_step']:,.3f} nJ"),
        ]

    def __str__(self) -> str:
        rows = self._rows()
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)

    def _repr_html_(self) -> str:
        """Return a table, for notebooks."""
        cells = "".join(
            f"<tr><td>{html.escape(a)}</td><td>{html.escape(b)}</td></tr>" for a, b in self._rows()
        )
        return f"<table>{cells}</table>"


def operations(source: Any, batch: Any = None) -> Operations:
    """Count the operations of a converted run, or of a torch model on a batch.

    Parameters
    ----------
    source : ConvertedRun or torch.nn.Module
        A run of `Conversion.run` counts what the event engine did; a model is applied to `batch`
        in evaluation mode, and its linear and convolutional layers and neurons are watched.
    batch : [T, B, ...] tensor, optional
        For a model.

    Returns
    -------
    Operations

    Raises
    ------
    ParameterError
        For another object, or a model without batch.

    Notes
    -----
    Where one linear module lies between two layers of neurons and the input is binary, both count
    the same accumulates. They differ where modules were multiplied together (pooling and Linear),
    for an input with several spikes in a step (one MAC in torch, as many ACs in the engine), and
    in the updates of neurons, which the engine saves while they sleep.
    """
    require("torch", "train", "analysis.operations")
    counting = importlib.import_module("neurosim.bridge.convert.counting")
    found: Operations = counting.count(source, batch)
    return found
