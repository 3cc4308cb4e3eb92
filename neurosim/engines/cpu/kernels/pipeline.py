"""How Numba compiles our kernels: its own passes, without those that find nothing in them.

The kernels are scalar loops without closures, generators, ``with`` blocks, array expressions or
``literal_unroll``. Looking for those takes a sixth of the time of a compilation (see "Customizing
the compiler" in Numba's manual), and a third goes to questions that were answered before
(`asked_once`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import typed_passes, untyped_passes
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import PassManager
from numba.core.errors import TypingError
from numba.core.targetconfig import ConfigStack
from numba.core.types.functions import BaseFunction

#: Needed only where a variable changes its type: elsewhere LLVM finds out the same, faster.
_VERSIONS = (untyped_passes.ReconstructSSA, typed_passes.PreLowerStripPhis)
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

    #: Passes to leave out.
    without: tuple[Any, ...] = ()

    def define_pipelines(self) -> list[Any]:
        """Return the one pipeline, as Numba asks for."""
        passes = PassManager(type(self).__name__.lower())
        if self.state.func_ir is None:
            passes.add_pass(untyped_passes.TranslateByteCode, "read the bytecode")
            passes.add_pass(untyped_passes.FixupArgs, "name the arguments")
        for compiler_pass, purpose in _PASSES:
            if compiler_pass not in self.without:
                passes.add_pass(compiler_pass, purpose)
        passes.finalize()
        return [passes]

    def compile_extra(self, func: Any) -> Any:
        """Compile a function, as Numba asks for."""
        with asked_once():
            return super().compile_extra(func)


class Generated(Straight):
    """The same for kernels that we print: hardly any variable changes its type there."""

    def compile_extra(self, func: Any) -> Any:
        """Compile a function: with versions of its variables only if they turn out to be needed."""
        self.without = _VERSIONS
        try:
            return super().compile_extra(func)
        except TypingError:
            self.without = ()
            self.state.func_ir = self.state.status.fail_reason = None
            return super().compile_extra(func)


@contextmanager
def asked_once() -> Iterator[None]:
    """Let the functions that Numba knows answer once what they return for which types.

    Numba asks at every use of an operator, several times, and each time goes through all that
    implement it: strings, sets and arrays before numbers. An answer depends on the flags of the
    function being compiled, and on nothing else while it is. Numba compiles one function at a time
    (under its lock), so that nobody else meets the replaced method.
    """
    answers: dict[Any, Any] = {}
    ask = BaseFunction.get_call_type

    def remember(function: Any, context: Any, args: Any, kws: Any) -> Any:
        flags = ConfigStack.top_or_none()
        question = (function, id(flags), tuple(args), tuple(kws.items()))
        if question not in answers:
            signature = ask(function, context, args, kws)
            # the flags are kept, so that no others get their id
            answers[question] = signature, function.get_impl_key(signature), flags
        signature, implementation, _ = answers[question]
        # a function compiled in between may have chosen another one, for flags of its own
        function._impl_keys[signature.args] = implementation
        return signature

    BaseFunction.get_call_type = remember  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        BaseFunction.get_call_type = ask  # type: ignore[method-assign]
