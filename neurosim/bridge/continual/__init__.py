"""Continual and online learning: projection (HLOP), OTTT, DSR, feedback alignment."""

from neurosim.bridge.continual.dsr import DSRLIF, weighted_rate
from neurosim.bridge.continual.feedback import Feedback
from neurosim.bridge.continual.online import OTTT
from neurosim.bridge.continual.overhead import Overhead
from neurosim.bridge.continual.projection import HebbianProjection
from neurosim.bridge.continual.scores import average_accuracy, backward_transfer
from neurosim.bridge.continual.subspace import OjaSubspace

__all__ = [
    "DSRLIF",
    "Feedback",
    "HebbianProjection",
    "OTTT",
    "OjaSubspace",
    "Overhead",
    "average_accuracy",
    "backward_transfer",
    "weighted_rate",
]
