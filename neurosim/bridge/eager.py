"""Keep functions out of ``torch.compile`` without the cost of loading it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

_Options = ParamSpec("_Options")
_Result = TypeVar("_Result")


def eager_only(function: Callable[_Options, _Result]) -> Callable[_Options, _Result]:
    """Run a function as it is, also where the model around it is compiled.

    ``torch.compiler.disable`` does so too, but loads the compiler, which takes as long as torch
    itself (1.1 s); here that is left to those who compile.
    """
    disabled: Callable[_Options, _Result] | None = None

    @functools.wraps(function)
    def call(*args: _Options.args, **options: _Options.kwargs) -> _Result:
        nonlocal disabled
        if "torch._dynamo" not in sys.modules:  # nothing is being compiled
            return function(*args, **options)
        if disabled is None:
            disabled = torch.compiler.disable(function)  # type: ignore[no-untyped-call]
        return disabled(*args, **options)

    return call
