"""Settings of all tests."""

import gc
import os

# workers of xdist have a core each: more threads of BLAS and torch in them wait for each other and
# took half of the time of numerical tests; what threads change is tested with a number of its own
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# compiling makes many objects and little garbage: looking for cycles took a ninth of all time
gc.set_threshold(200_000, 20, 100)
