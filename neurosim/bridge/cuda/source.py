"""CUDA sources: the parts that every one begins with, and those that are written by hand."""

from __future__ import annotations

import math
from functools import cache
from importlib import resources

import torch

#: Names of the formats of values in kernels.
FORMATS = {
    torch.float32: "float", torch.float64: "double", torch.float16: "ns_half",
    torch.bfloat16: "ns_bfloat",
}  # fmt: skip


def computed_in(dtype: torch.dtype) -> torch.dtype:
    """Return the precision that values of a type are computed with: double for double only."""
    return torch.float64 if dtype == torch.float64 else torch.float32


@cache
def beginning(real: torch.dtype) -> str:
    """Return types, functions of the equation language and formats of values.

    Parameters
    ----------
    real : torch.float32 or torch.float64
        The precision of the kernel, its ``REAL``.
    """
    constants = {f"FACTOR{k}": repr(1.0 / math.factorial(k)) for k in range(2, 14)}
    constants["INFINITY"] = "__longlong_as_double(0x7ff0000000000000ll)"
    return "\n".join((
        f"typedef {FORMATS[real]} REAL;",
        *(f"#define NS_{name} {value}" for name, value in constants.items()),
        _part("neurosim.engines.gpu", "device.cuh"), _part("neurosim.engines.gpu", "functions.cuh"),
        _part("neurosim.bridge.cuda", "values.cuh"), "",
    ))  # fmt: skip


@cache
def written(*names: str, real: torch.dtype, **types: str | int) -> str:
    """Return a source made of files.

    Parameters
    ----------
    *names : str
        Files of `kernels/`, in order.
    real : torch.dtype
        See `beginning`.
    **types : str or int
        What names in capitals stand for, such as ``VALUE="float"``.
    """
    meanings = "".join(f"#define {name} {meaning}\n" for name, meaning in types.items())
    parts = (_part("neurosim.bridge.cuda", name) for name in names)
    return beginning(real) + meanings + "\n".join(parts)


def _part(package: str, name: str) -> str:
    text = resources.files(package).joinpath("kernels", name).read_text()
    return f'#line 1 "{name}"\n{text}'
