"""Learning rates of an optimiser's groups over a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch

from neurosim.bridge.training.groups import KINDS
from neurosim.bridge.training.schedules import SCHEDULES, Constant, Schedule
from neurosim.errors import ParameterError, unknown_name

TorchSchedule: TypeAlias = Callable[[torch.optim.Optimizer], Any]
OneSchedule: TypeAlias = Schedule | str
Schedules: TypeAlias = OneSchedule | Mapping[str, OneSchedule] | TorchSchedule | None


class LearningRates:
    """Set the learning rates of an optimiser before each step.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Its groups' ``lr`` are the base rates.
    schedule : Schedule, name, mapping of kind to these, or callable
        A callable makes a scheduler of torch from the optimiser.
    epochs : int
    per : "epoch" or "step"
        How often rates change.

    Raises
    ------
    ParameterError, UnknownNameError
        For a schedule or kind that does not exist.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        schedule: Schedules = None,
        *,
        epochs: int,
        per: str = "epoch",
    ) -> None:
        if per not in ("epoch", "step"):
            raise ParameterError(f"schedule_per = {per!r}: expected 'epoch' or 'step'.")
        self.optimizer, self.epochs, self.per = optimizer, epochs, per
        self._base = [float(group["lr"]) for group in optimizer.param_groups]
        self._torch: Any = None
        self._by_kind: dict[str, Schedule] = {}
        if schedule is None:
            return
        if isinstance(schedule, Mapping):
            for kind in schedule:
                if kind not in KINDS:
                    raise unknown_name("kind of parameters", kind, KINDS, "schedule")
            self._by_kind = {kind: _resolve(one) for kind, one in schedule.items()}
        elif isinstance(schedule, Schedule | str):
            self._by_kind = {kind: _resolve(schedule) for kind in KINDS}
        elif callable(schedule):
            self._torch = schedule(optimizer)
        else:
            raise ParameterError(f"schedule = {schedule!r}: expected a Schedule or a name.")

    def set(self, epoch: int, step: int, n_steps: int | None) -> None:
        """Set the rates for batch `step` (of `n_steps`) of an epoch, counting from 0."""
        if not self._by_kind or (self.per == "epoch" and step):
            return
        if self.per == "step" and n_steps is None:
            raise ParameterError(
                "schedule_per='step' needs to know the number of batches: the loader has no len()."
            )
        position, total = (epoch, self.epochs) if self.per == "epoch" else (
            epoch * int(n_steps or 0) + step, self.epochs * int(n_steps or 0)
        )  # fmt: skip
        for group, base in zip(self.optimizer.param_groups, self._base, strict=True):
            one = self._by_kind.get(group.get("kind", "weights"), Constant())
            group["lr"] = one.rate(base, position, total)
            momentum = one.momentum(position, total)
            if momentum is not None and "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            elif momentum is not None and "momentum" in group:
                group["momentum"] = momentum

    def step_done(self) -> None:
        """Step a scheduler of torch after a batch."""
        if self._torch is not None and self.per == "step":
            self._torch.step()

    def epoch_done(self) -> None:
        """Step a scheduler of torch after an epoch."""
        if self._torch is not None and self.per == "epoch":
            self._torch.step()

    def current(self) -> dict[str, float]:
        """Return the rate of each group by its kind, or by number if the user made the groups."""
        groups = self.optimizer.param_groups
        return {str(g.get("kind", k)): float(g["lr"]) for k, g in enumerate(groups)}

    def state_dict(self) -> dict[str, Any]:
        """Return the state of a scheduler of torch; ours are functions and have none."""
        return {} if self._torch is None else dict(self._torch.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the state of a scheduler of torch."""
        if self._torch is not None:
            self._torch.load_state_dict(state)


def _resolve(schedule: OneSchedule) -> Schedule:
    if isinstance(schedule, Schedule):
        return schedule
    if schedule not in SCHEDULES:
        raise unknown_name("schedule", schedule, SCHEDULES, "fit")
    return SCHEDULES[schedule]()
