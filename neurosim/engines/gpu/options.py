"""Options of the GPU engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from neurosim.engines.base import Engine, Runner
from neurosim.errors import ParameterError
from neurosim.lower.continuous import ContinuousPlan
from neurosim.lower.plan import Plan
from neurosim.lower.quantize import check_option

PRECISIONS = ("float32", "float64")
LAUNCHES = ("auto", "cooperative", "graph", "phases")
VARIANTS = ("auto", "ring", "owner")
WEIGHTS = ("auto", "float16")


@dataclass(frozen=True, kw_only=True)
class GPU(Engine):
    """The engine on an NVIDIA GPU (CuPy, kernels in CUDA C++).

    Parameters
    ----------
    precision : {"float32", "float64"}
        Precision of states, weights and input.
    deterministic : bool or "int32"
        Add input up as integers, in units of 2**-30 of the largest weight of each receptor, so that
        results are the same in every run; without it the order of additions, and so the last digit
        of a sum, differs from run to run. Sums have 64 bits. With ``"int32"`` they have 32, and
        units are 2**-30 of the largest sum that a receptor can get in a step: half the memory for
        input on its way, coarser weights (a millionth with some thousand synapses a neuron), and
        static synapses only.
    device : int
        Which GPU, from 0.
    launch : {"auto", "cooperative", "graph", "phases"}
        Many steps in one cooperative launch; a captured graph of the launches of many steps; or one
        launch for each phase of a step. ``auto`` launches cooperatively where the device can, else
        by a graph.
    variant : {"auto", "ring", "owner"}
        ``ring`` keeps states and input to come in global memory, for networks of any size.
        ``owner`` gives every block its own neurons, whose states stay in registers and whose input
        to come stays in shared memory: for networks that fit (some 100,000 neurons, static
        synapses), in cooperative launches. A synapse takes 4 bytes where every projection has one
        weight or `weights` is ``float16``, else 8 (12 in double precision). Results are the same.
        Which is faster has not been measured yet; until it is, ``auto`` means ``ring``.

    weights : {"auto", "float16"}
        ``float16`` stores the weights that differ from synapse to synapse in half precision
        (0.05%): 6 bytes a synapse in place of 8. A projection with one weight stores none (4 bytes
        a synapse), whatever is chosen.
    procedural : bool, "auto", or sequence of str
        Projections whose rows are not stored but drawn again when a spike is delivered: those
        named; all that can be (True); or as many, the largest first, as the memory of the device
        demands ("auto"). Spikes are the same. Only FixedProbability, AllToAll, OneToOne, and
        FixedOutdegree and FixedTotalNumber with multapses can be drawn source by source.

    Examples
    --------
    >>> GPU(deterministic=True).precision
    'float32'
    """

    precision: str = "float32"
    deterministic: bool | str = False
    device: int = 0
    launch: str = "auto"
    variant: str = "auto"
    weights: str = "auto"
    procedural: bool | str | Sequence[str] = False
    name = "gpu"

    def __post_init__(self) -> None:
        for option, valid in (
            ("precision", PRECISIONS), ("launch", LAUNCHES), ("variant", VARIANTS),
            ("weights", WEIGHTS),
        ):  # fmt: skip
            if getattr(self, option) not in valid:
                raise ParameterError(
                    f"GPU: {option} = {getattr(self, option)!r}; choose one of {', '.join(valid)}."
                )
        check_option("GPU", self.deterministic)
        if self.variant == "owner" and self.launch in ("graph", "phases"):
            raise ParameterError(
                f"GPU: launch = {self.launch!r} does not go with variant = 'owner', which is one "
                "cooperative launch; leave launch='auto', or use variant='ring'."
            )
        chosen = self.procedural
        if isinstance(chosen, Sequence) and chosen != "auto":
            named = not isinstance(chosen, str) and all(isinstance(name, str) for name in chosen)
        else:
            named = isinstance(chosen, bool) or chosen == "auto"
        if not named:
            raise ParameterError(
                f"GPU: procedural = {self.procedural!r}; True, False, 'auto' or a list of names of "
                "projections is needed."
            )
        whole = isinstance(self.device, int) and not isinstance(self.device, bool)
        if not (whole and self.device >= 0):
            raise ParameterError(f"GPU: device = {self.device!r}; a whole number >= 0 is needed.")

    def prepare(self, plan: Plan | ContinuousPlan) -> Runner:
        """Build a network on the device.

        Raises
        ------
        EngineUnavailableError
            If CuPy, a driver or the device is missing or too old.
        NetworkError
            If the network has a part that this engine cannot run; the message names it.
        NetworkSizeError
            If the device has too little memory.
        """
        from neurosim.engines.gpu.cupy_device import open_device
        from neurosim.engines.gpu.runner import GpuRunner
        from neurosim.engines.gpu.support import supported

        checked = supported(plan, narrow=self.deterministic == "int32")
        return GpuRunner(checked, self, open_device(self.device))
