"""The benchmark cases: one file a network, each in neurosim, NEST and Brian2."""

from case import Case

from . import balanced, coba, cuba, fly, microcircuit, plastic, segments, sparse

CASES: dict[str, Case] = {
    name: case
    for module in (cuba, coba, balanced, plastic, microcircuit, sparse, segments, fly)
    for name, case in module.CASES.items()
}
