"""NVRTC from the wheel nvidia-cuda-nvrtc, by ctypes: compiles for a GPU without one."""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_KERNEL = re.compile(
    r"Compiling entry function '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, "
    r"(\d+) bytes spill loads\s+ptxas info\s+: Used (\d+) registers",
    re.DOTALL,
)


@dataclass(frozen=True)
class Resources:
    """What a kernel takes for each thread: registers, and bytes of local memory."""

    registers: int
    stack: int
    spilled: int


@cache
def library() -> ctypes.CDLL | None:
    """Return NVRTC, or None if the wheel is not installed."""
    spec = find_spec("nvidia")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for place in sorted(Path(folder).glob("*/lib")):
            found = sorted(place.glob("libnvrtc.so.*"))
            if found:
                # the built-in headers are looked up by name: load them first
                for part in sorted(place.glob("libnvrtc-builtins.so.*")):
                    ctypes.CDLL(str(part), mode=ctypes.RTLD_GLOBAL)
                return ctypes.CDLL(str(found[0]))
    return None


def assembled(source: str, architecture: str, *options: str) -> tuple[bytes, str]:
    """Return the machine code of a source, such as for ``"sm_90"``, and the compiler's messages.

    NVRTC 13 contains ptxas, whose own options go through ``--ptxas-options``.

    Raises
    ------
    RuntimeError
        With the messages.
    """
    nvrtc = library()
    assert nvrtc is not None
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"k.cu", 0, None, None)
    flags = [f"--gpu-architecture={architecture}", "--std=c++17", *options]
    encoded = (ctypes.c_char_p * len(flags))(*(f.encode() for f in flags))
    try:
        result = nvrtc.nvrtcCompileProgram(program, len(flags), encoded)
        nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetProgramLog(program, log)
        if result:
            raise RuntimeError(log.value.decode())
        nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
        code = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetCUBIN(program, code)
        return code.raw, log.value.decode()
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def resources(source: str, architecture: str, *options: str) -> dict[str, Resources]:
    """Compile a source, as `assembled` does, and return what each of its kernels takes."""
    _, log = assembled(source, architecture, "--ptxas-options=-v", *options)
    return {
        name: Resources(int(registers), int(stack), int(stores) + int(loads))
        for name, stack, stores, loads, registers in _KERNEL.findall(log)
    }
