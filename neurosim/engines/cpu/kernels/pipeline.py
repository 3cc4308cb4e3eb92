"""How Numba compiles our kernels: its own passes, without those that find nothing in them.

The kernels are scalar loops without closures, generators, ``with`` blocks, array expressions or
``literal_unroll``. Looking for those takes a sixth of the time of a compilation (see "Customizing
the compiler" in Numba's manual).
"""

from __future__ import annotations

from typing import Any

from numba.core import typed_passes, untyped_passes
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import PassManager

_PASSES = (
    (untyped_passes.IRProcessing, "process the intermediate representation"),
    (untyped_passes.GenericRewrites, "see constants in subscripts of tuples"),
    (untyped_passes.InlineInlinables, "inline what is marked so"),
    (untyped_passes.ReconstructSSA, "assign each variable once"),
    (typed_passes.NopythonTypeInference, "infer types"),
    (typed_passes.PreLowerStripPhis, "remove phi nodes"),
    (typed_passes.IRLegalization, "end the life of variables"),
    (typed_passes.NativeLowering, "lower"),
    (typed_passes.NoPythonBackend, "generate code"),
)


class Straight(CompilerBase):  # type: ignore[misc]
    """A compiler of functions without closures: straight from bytecode to types to code."""

    def define_pipelines(self) -> list[Any]:
        """Return the one pipeline, as Numba asks for."""
        passes = PassManager("straight")
        if self.state.func_ir is None:
            passes.add_pass(untyped_passes.TranslateByteCode, "read the bytecode")
            passes.add_pass(untyped_passes.FixupArgs, "name the arguments")
        for compiler_pass, purpose in _PASSES:
            passes.add_pass(compiler_pass, purpose)
        passes.finalize()
        return [passes]
