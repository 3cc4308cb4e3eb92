"""The Runge-Kutta-Fehlberg 4(5) method: Fehlberg (1969), NASA TR R-315.

Step-size control goes with it: as in GSL's standard control with absolute tolerance, which NEST
uses for its adaptive models. A substep is rejected above 1.1 times the tolerance; below half of it
the next one is longer.
"""

from __future__ import annotations

#: Times of the stages within a step, and the weights of the stages before each.
NODES = (0.0, 1 / 4, 3 / 8, 12 / 13, 1.0, 1 / 2)
STAGES: tuple[tuple[float, ...], ...] = (
    (),
    (1 / 4,),
    (3 / 32, 9 / 32),
    (1932 / 2197, -7200 / 2197, 7296 / 2197),
    (8341 / 4104, -32832 / 4104, 29440 / 4104, -845 / 4104),
    (-6080 / 20520, 41040 / 20520, -28352 / 20520, 9295 / 20520, -5643 / 20520),
)
#: Weights of the stages in the result, and in the estimate of its error.
FIFTH = (902880 / 7618050, 0.0, 3953664 / 7618050, 3855735 / 7618050, -1371249 / 7618050,
         277020 / 7618050)  # fmt: skip
ERROR = (1 / 360, 0.0, -128 / 4275, -2197 / 75240, 1 / 50, 2 / 55)
