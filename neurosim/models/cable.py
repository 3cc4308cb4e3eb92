"""Geometry to electricity: compartments of a cylindrical dendrite."""

from __future__ import annotations

from itertools import pairwise
from math import pi
from typing import Any

from neurosim.errors import ParameterError
from neurosim.models.compartments import Compartment, Coupling


def cylinder(
    length: float, diameter: float, *, R_i: float = 200.0, R_m: float = 20_000.0, C_m: float = 1.0
) -> tuple[float, float, float]:
    """Return the capacitance [pF], leak [nS] and axial conductance [nS] of a cylinder.

    The area of the ends does not count, and the axial conductance is that from end to end.

    Parameters
    ----------
    length, diameter : float
        In micrometres.
    R_i : float, default 200.0
        Resistivity inside [Ohm cm].
    R_m : float, default 20000.0
        Resistance of the membrane [Ohm cm2].
    C_m : float, default 1.0
        Capacitance of the membrane [uF/cm2].

    Raises
    ------
    ParameterError
        If a value is not above 0.

    Notes
    -----
    C = pi d l C_m, g_L = pi d l/R_m, g_axial = pi d^2/(4 R_i l): Rall (1959), Exp. Neurol. 1:491.

    Examples
    --------
    The proximal dendrite of a human Tripod neuron:

    >>> [round(x, 3) for x in cylinder(150.0, 4.0, R_i=200.0, R_m=38907.0, C_m=0.5)]
    [9.425, 0.484, 41.888]
    """
    values = {"length": length, "diameter": diameter, "R_i": R_i, "R_m": R_m, "C_m": C_m}
    for name, value in values.items():
        if not value > 0:
            raise ParameterError(f"cylinder: {name} = {value:g} must be > 0.")
    area = pi * diameter * length  # um2 = 1e-8 cm2
    axial = pi * diameter**2 / (4.0 * R_i * length)  # um2/(Ohm cm um) = 1e5 nS
    return 0.01 * area * C_m, 10.0 * area / R_m, 1e5 * axial


def cable(
    n: int,
    length: float,
    diameter: float,
    *,
    E_L: float = -70.0,
    R_i: float = 200.0,
    R_m: float = 20_000.0,
    C_m: float = 1.0,
    name: str = "dend",
    **parts: Any,
) -> tuple[list[Compartment], list[Coupling]]:
    """Return a cylinder with sealed ends as n equal compartments and their couplings.

    Each compartment stands for its middle, which is 1/n of the length away from the next.

    Parameters
    ----------
    n : int
        Number of compartments, named ``<name>_0``, ``<name>_1``, ...
    length, diameter : float
        Of the whole cable [um].
    E_L : float, default -70.0
        Reversal potential of the leak [mV].
    R_i, R_m, C_m
        As in `cylinder`.
    name : str, default "dend"
    **parts
        Mechanisms and receptors of every compartment, as in `Compartment`.

    Raises
    ------
    ParameterError
        If `n` is below 1 or a size is not above 0.

    Examples
    --------
    >>> compartments, couplings = cable(10, 500.0, 2.0)
    >>> [c.name for c in compartments][:2], couplings[0].parameter
    (['dend_0', 'dend_1'], 'g_dend_0_dend_1')
    """
    if n != int(n) or n < 1:
        raise ParameterError(f"cable {name!r}: n = {n} must be a whole number of at least 1.")
    capacitance, leak, axial = cylinder(length / n, diameter, R_i=R_i, R_m=R_m, C_m=C_m)
    names = [f"{name}_{k}" for k in range(int(n))]
    compartments = [Compartment(k, C_m=capacitance, g_L=leak, E_L=E_L, **parts) for k in names]
    couplings = [Coupling(a, b, axial) for a, b in pairwise(names)]
    return compartments, couplings
