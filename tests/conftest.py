"""Settings of all tests."""

import gc

# compiling makes many objects and little garbage: looking for cycles took a ninth of all time
gc.set_threshold(200_000, 20, 100)
