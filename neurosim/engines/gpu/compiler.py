"""Sources compiled by NVRTC and loaded through CuPy, without headers of CUDA.

CuPy's ``RawModule`` is not used, for three reasons. It looks for the headers of a CUDA toolkit and
fails without them, though these kernels include nothing. It flushes denormal numbers, which the
other engines' deterministic sums do not. And it gives all that have the same source one module, so
that networks would share the counter of the grid's barrier and the shared memory that a kernel may
have. The machine code is kept beside CuPy's own, in ``CUPY_CACHE_DIR`` or ``~/.cupy/kernel_cache``.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neurosim.errors import EngineUnavailableError

#: What to install, for messages.
INSTALL = 'Try: pip install "neurosim[gpu]" (CUDA 13) or "neurosim[gpu12]" (CUDA 12).'


def load_module(cupy: Any, device: Any, source: str, options: Sequence[str], what: str) -> Any:
    """Return a CUDA module of one's own on a device, which must be the current one.

    Parameters
    ----------
    cupy : module
    device : cupy.cuda.Device
    source : str
    options : sequence of str
        Of NVRTC, beside the architecture.
    what : str
        What needs the kernels, for messages.

    Raises
    ------
    EngineUnavailableError
        If NVRTC is missing, or does not know the device or the options.
    """
    capability = device.compute_capability
    try:
        code = machine_code(cupy.cuda.nvrtc, source, options, capability)
    except (RuntimeError, ImportError) as error:  # a missing library is one or the other
        raise EngineUnavailableError(
            f"{what} compiles its kernels with NVRTC, which failed ({error}). {INSTALL}"
        ) from error
    if code is None:
        version, oldest = cupy.cuda.nvrtc.getVersion(), min(cupy.cuda.nvrtc.getSupportedArchs())
        raise EngineUnavailableError(
            f"{what}: GPU {device.id} has compute capability {dotted(capability)}, but NVRTC "
            f"{version[0]}.{version[1]} compiles for {dotted(oldest)} and newer. Install the CuPy "
            'of an older CUDA version, such as "neurosim[gpu12]", or use the CPU.'
        )
    module = cupy.cuda.Module()
    module.load(code)
    return module


def dotted(capability: str | int) -> str:
    """Return a compute capability as it is written, such as 9.0 for ``"90"``."""
    text = str(capability)
    return f"{text[:-1]}.{text[-1]}"


def machine_code(nvrtc: Any, source: str, options: Sequence[str], capability: str) -> bytes | None:
    """Return the machine code of a source, from the cache if it has been compiled before.

    A device that is newer than NVRTC gets PTX, which its driver translates; there is none for a
    device that is too old.

    Parameters
    ----------
    nvrtc : module
        ``cupy.cuda.nvrtc``.
    source : str
    options : sequence of str
    capability : str
        Compute capability, such as ``"90"``.

    Raises
    ------
    RuntimeError
        With the compiler's messages.
    """
    known = [a for a in nvrtc.getSupportedArchs() if a <= int(capability)]
    if not known:
        return None
    exact = max(known) == int(capability)
    flags = (f"--gpu-architecture={'sm' if exact else 'compute'}_{max(known)}", *options)
    key = "\n".join([str(nvrtc.getVersion()), *flags, source])
    file = _folder() / f"neurosim_{hashlib.sha256(key.encode()).hexdigest()[:40]}.cubin"
    with contextlib.suppress(OSError):
        return file.read_bytes()
    code = _compiled(nvrtc, source, flags, exact)
    with contextlib.suppress(OSError):  # a folder that cannot be written keeps nothing
        file.parent.mkdir(parents=True, exist_ok=True)
        # written aside and renamed, so that another process never reads half a file
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False, suffix=".tmp") as aside:
            aside.write(code)
        os.replace(aside.name, file)
    return code


def _folder() -> Path:
    return Path(os.environ.get("CUPY_CACHE_DIR") or Path.home() / ".cupy" / "kernel_cache")


def _compiled(nvrtc: Any, source: str, flags: Sequence[str], exact: bool) -> bytes:
    program = nvrtc.createProgram(source, "neurosim.cu", (), ())
    try:
        nvrtc.compileProgram(program, flags)
        code: bytes = nvrtc.getCUBIN(program) if exact else nvrtc.getPTX(program)
    except RuntimeError as error:
        messages = nvrtc.getProgramLog(program).strip()
        raise RuntimeError(f"{error}: {messages}" if messages else str(error)) from error
    finally:
        nvrtc.destroyProgram(program)
    return code
