"""Settings of all tests."""

import gc
import multiprocessing
import os

# workers of xdist have a core each: more threads of BLAS and torch in them wait for each other and
# took half of the time of numerical tests; what threads change is tested with a number of its own
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import _pytest.fixtures  # noqa: E402
import _pytest.python  # noqa: E402
import pytest  # noqa: E402

from neurosim.engines.cpu.compile import with_room  # noqa: E402

# compiling makes many objects and little garbage: looking for cycles took a ninth of all time
gc.set_threshold(200_000, 20, 100)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run tests as pytest does, with room on the stack: the depth of its calls is bad luck."""
    return with_room(lambda: _pytest.python.pytest_pyfunc_call(pyfuncitem))


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef, request):
    return with_room(lambda: _pytest.fixtures.pytest_fixture_setup(fixturedef, request))


@pytest.fixture
def processes():
    """Return how to begin processes: forked where they can be, as Python and torch take seconds."""
    methods = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("fork" if "fork" in methods else "spawn")
