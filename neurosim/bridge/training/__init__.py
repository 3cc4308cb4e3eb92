"""Training: `fit` and its parts, each of which also works in a plain torch loop."""

from neurosim.bridge.training.batches import ArrayBatches
from neurosim.bridge.training.callbacks import Callback, CsvLog, Progress, TensorBoardLog
from neurosim.bridge.training.checkpoint import load_checkpoint, read_checkpoint, save_checkpoint
from neurosim.bridge.training.diagnosis import TrainingWarning, Watch, check_classes
from neurosim.bridge.training.evaluation import Evaluation, evaluate
from neurosim.bridge.training.fit import fit
from neurosim.bridge.training.groups import KINDS, parameter_groups, parameter_kinds
from neurosim.bridge.training.history import History
from neurosim.bridge.training.initialise import (
    fluctuation_driven_,
    fluctuation_driven_std,
    initialise_rates_,
    membrane_kernel,
)
from neurosim.bridge.training.interrupts import TrainingInterrupted
from neurosim.bridge.training.losses import (
    LOSSES,
    Loss,
    accuracy,
    count_loss,
    membrane_last_loss,
    membrane_max_loss,
    membrane_mean_loss,
    membrane_sum_loss,
    rate_loss,
)
from neurosim.bridge.training.regularisers import DelayRegulariser, RateRegulariser, Regulariser
from neurosim.bridge.training.rng import capture_rng, restore_rng, seeded
from neurosim.bridge.training.schedules import Constant, Cosine, Exponential, OneCycle, Schedule
from neurosim.bridge.training.spikes import SpikeMonitor, count_spikes, spiking_layers
from neurosim.bridge.training.trainer import EarlyStopping, Trainer

__all__ = [
    "KINDS",
    "LOSSES",
    "ArrayBatches",
    "Callback",
    "Constant",
    "Cosine",
    "CsvLog",
    "DelayRegulariser",
    "EarlyStopping",
    "Evaluation",
    "Exponential",
    "History",
    "Loss",
    "OneCycle",
    "Progress",
    "RateRegulariser",
    "Regulariser",
    "Schedule",
    "SpikeMonitor",
    "TensorBoardLog",
    "Trainer",
    "TrainingInterrupted",
    "TrainingWarning",
    "Watch",
    "accuracy",
    "capture_rng",
    "check_classes",
    "count_loss",
    "count_spikes",
    "evaluate",
    "fit",
    "fluctuation_driven_",
    "fluctuation_driven_std",
    "initialise_rates_",
    "membrane_kernel",
    "load_checkpoint",
    "membrane_last_loss",
    "membrane_max_loss",
    "membrane_mean_loss",
    "membrane_sum_loss",
    "parameter_groups",
    "parameter_kinds",
    "rate_loss",
    "read_checkpoint",
    "restore_rng",
    "save_checkpoint",
    "seeded",
    "spiking_layers",
]
