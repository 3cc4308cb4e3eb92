"""Hebbian orthogonal projection: learn new tasks where old activity does not reach."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from neurosim.bridge.continual.layers import KINDS, WeightLayer, dense, fed_back, find_layers
from neurosim.bridge.continual.overhead import Overhead
from neurosim.bridge.continual.rules import LocalRule
from neurosim.bridge.continual.subspace import OjaSubspace
from neurosim.errors import ParameterError, unknown_name

#: Rows for each layer: one number (int: rows, float: fraction of the inputs) or one a layer.
Rows = int | float | Mapping[str, int | float]


class HebbianProjection(nn.Module):
    """Protect what a model has learned: project weight changes out of the old activity's subspace.

    While the model trains, lateral neurons at every layer learn the principal subspace of its
    input (`OjaSubspace`). `consolidate` after a task freezes it. From then on the gradient of a
    weight loses its part in that subspace, so the layer keeps answering old inputs as before::

        hlop = HebbianProjection(model, subspace=0.2)
        for task in tasks:
            optimizer = ...  # a new one for each task
            for x, target in task:
                optimizer.zero_grad()
                loss(model(x), target).backward()
                hlop.project()
                optimizer.step()
            hlop.consolidate()

    After the first task, batch normalisation keeps its statistics, and parameters of one dimension
    (biases, thresholds, time constants, normalisation) outside excluded layers get no gradient.

    Parameters
    ----------
    model : Module
        Any module with linear and convolutional layers (torch's or ours). It is not changed but
        for hooks; `remove` takes them away.
    subspace : int, float or dict
        Rows for the first task: a number for each layer, a fraction of each layer's inputs, or a
        dict of either by layer name; a dict excludes the layers that it does not name.
    rate : float or dict, default 0.01
        Learning rate of the rows; by layer name if a dict. Convergence goes with rate times
        mean square of the input: the paper has 0.001 for normalised images.
    mode : {"weight", "trace"}, default "weight"
        Project the weight's gradient in `project`, or the presynaptic factor during the backward
        pass, where a local circuit would do it. Equal up to rounding for exact lateral neurons.
        Recurrent connections, whose activity stays inside a kernel, are always projected by weight.
    exclude : iterable of str
        Layers (or modules of layers) to leave alone, such as the heads of the tasks.
    activity : callable, optional
        Maps a layer's input to the one that its subspace learns from, such as a mean over time.
        Default: the input of every step.
    max_rows : int, optional
        Learn from at most this many activities of a batch, chosen at random.
    seed : int, default 0
        Of the rows' first values and of `max_rows`.
    **options
        `momentum`, `iterations`, `clip`, `lateral_steps`, `lateral_scale` of `OjaSubspace`.

    Attributes
    ----------
    overhead : Overhead
        Seconds and fraction of the training time.
    n_tasks : int
        Number of consolidated tasks.

    Raises
    ------
    ParameterError, UnknownNameError
        If an option or layer is unknown, not possible, or would have more rows than inputs.

    Notes
    -----
    Xiao et al. (2024), ICLR. Optimisers with a momentum from unprojected gradients, with weight
    decay or with a rate for each weight (Adam) leave the allowed subspace although their gradients
    do not; `guard` projects their steps.
    """

    def __init__(
        self,
        model: nn.Module,
        subspace: Rows,
        *,
        rate: float | Mapping[str, float] = 0.01,
        mode: Literal["weight", "trace"] = "weight",
        exclude: Iterable[str] = (),
        activity: Callable[[Tensor], Tensor] | None = None,
        max_rows: int | None = None,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__()
        if mode not in ("weight", "trace"):
            raise ParameterError(f"mode={mode!r}: choose 'weight' or 'trace'.")
        names = list(subspace) if isinstance(subspace, Mapping) else None
        exclude = tuple(exclude)
        self._names = [layer.name for layer in find_layers(model, names, exclude)]
        self.mode, self.activity, self.max_rows, self.n_tasks = mode, activity, max_rows, 0
        self._subspace, self.overhead = subspace, Overhead()
        # two, since processes of one training may choose differently but must grow equal rows
        self._generator = torch.Generator().manual_seed(seed)
        self._chooser = torch.Generator().manual_seed(seed)
        if isinstance(rate, Mapping):
            self._check_names(rate, "rate")
        self._pairs: list[tuple[WeightLayer, OjaSubspace]] = []
        for layer in find_layers(model, names, exclude):
            layer.require_own_weight(model)
            eta = rate[layer.name] if isinstance(rate, Mapping) else rate
            space = OjaSubspace(layer.n_inputs, rate=eta, **options)
            self._pairs.append((layer, space.to(layer.weight.device, layer.weight.dtype)))
        self.spaces = nn.ModuleList(space for _, space in self._pairs)
        self._grow(subspace)
        self._still = self._one_dimensional(model, exclude)
        self._handles = self._attach(model)

    def _one_dimensional(self, model: nn.Module, exclude: tuple[str, ...]) -> list[nn.Parameter]:
        """Return the parameters that stand still after the first task."""
        alone = (*exclude, *(n for n, m in model.named_modules() if isinstance(m, KINDS)))
        alone = tuple(n for n in alone if n not in self._names)
        return [
            parameter
            for name, parameter in model.named_parameters()
            if parameter.dim() < 2 and not any(name.startswith(f"{n}.") for n in alone)
        ]

    def _check_names(self, given: Mapping[str, Any], argument: str) -> None:
        for name in given:
            if name not in self._names:
                raise unknown_name("layer", name, self._names, f"HebbianProjection, {argument}")
        for name in self._names:
            if name not in given:
                raise ParameterError(f"{argument} has no value for layer {name!r}: add one.")

    def _grow(self, subspace: Rows) -> None:
        if isinstance(subspace, Mapping):
            self._check_names(subspace, "subspace")
        for layer, space in self._pairs:
            rows = subspace[layer.name] if isinstance(subspace, Mapping) else subspace
            if isinstance(rows, float):
                if not 0 <= rows <= 1:
                    raise ParameterError(
                        f"subspace={rows} for layer {layer.name!r}: a fraction of its inputs lies "
                        "between 0 and 1; write an int for a number of rows."
                    )
                rows = round(rows * layer.n_inputs)
            try:
                space.grow(rows, self._generator)
            except ParameterError as error:
                raise ParameterError(f"layer {layer.name!r}: {error}") from None

    def _attach(self, model: nn.Module) -> list[Any]:
        handles = [model.register_forward_pre_hook(self._begin_step)]
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                handles.append(module.register_forward_pre_hook(self._hold_statistics))
        for layer, space in self._pairs:
            hook = _Learner(self, layer, space)
            handles.append((layer.loop or layer.module).register_forward_hook(hook))
        return handles

    def _begin_step(self, model: nn.Module, args: Any) -> None:
        if model.training and torch.is_grad_enabled():
            self.overhead.begin()

    def _hold_statistics(self, module: nn.Module, args: Any) -> None:
        if self.n_tasks > 0:
            module.eval()

    def _timed_outside(self, space: OjaSubspace) -> Callable[[Tensor], Tensor]:
        def outside(x: Tensor) -> Tensor:
            with self.overhead.add_to("projecting"):
                return space.outside(x)

        return outside

    def consolidate(self, subspace: Rows | None = None) -> None:
        """End a task: freeze the rows that it taught, and add rows for the next one.

        Parameters
        ----------
        subspace : int, float or dict, optional
            Rows for the next task. Default: as many as for the first.

        Raises
        ------
        ParameterError
            If a layer would have more rows than inputs; nothing is frozen then.
        """
        before = [(space.H, space.average) for _, space in self._pairs]
        try:
            self._grow(self._subspace if subspace is None else subspace)
        except ParameterError:
            for (_, space), (rows, average) in zip(self._pairs, before, strict=True):
                space.H, space.average = rows, average
            raise
        for (_, space), (rows, _) in zip(self._pairs, before, strict=True):
            space.n_frozen = len(rows)
        self.n_tasks += 1
        self._update_rules()

    def _update_rules(self) -> None:
        if self.mode == "trace" and self.n_tasks > 0:
            for layer, space in self._pairs:
                if layer.loop is None:
                    LocalRule.of(layer).project = self._timed_outside(space)

    @torch.no_grad()
    def project(self) -> None:
        """Project the gradients: call it after ``backward`` and before ``optimizer.step``.

        In the first task it changes nothing. Gradients of parameters of one dimension outside
        excluded layers become None after it, so that no optimiser moves them.
        """
        if self.n_tasks > 0:
            with self.overhead.add_to("projecting"):
                for parameter in self._still:
                    parameter.grad = None
                for layer, space in self._pairs:
                    grad = layer.weight.grad
                    by_weight = self.mode == "weight" or layer.loop is not None
                    if by_weight and grad is not None:
                        grad.copy_(self._outside_weight(space, grad))
        self.overhead.end()

    @staticmethod
    def _outside_weight(space: OjaSubspace, weight: Tensor) -> Tensor:
        return space.project_weight(weight.flatten(1)).reshape(weight.shape)

    def guard(self, optimizer: torch.optim.Optimizer) -> None:
        """Project every step of an optimiser too, so that none leaves the allowed subspace.

        Needed for exact protection with Adam, weight decay or a momentum kept over tasks. It also
        calls `project` before each step, which need not be called then. The price: a copy of the
        weights and a second projection.
        """
        before: list[Tensor] = []

        def pre(*_: Any) -> None:
            self.project()
            before[:] = [layer.weight.detach().clone() for layer, _ in self._pairs]

        @torch.no_grad()
        def post(*_: Any) -> None:
            if self.n_tasks > 0:
                with self.overhead.add_to("projecting"):
                    for (layer, space), old in zip(self._pairs, before, strict=True):
                        step = self._outside_weight(space, layer.weight - old)
                        layer.weight.copy_(old + step)

        self._handles.append(optimizer.register_step_pre_hook(pre))
        self._handles.append(optimizer.register_step_post_hook(post))

    def remove(self) -> None:
        """Take all hooks away; the model trains as before."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        if self.mode == "trace":
            for layer, _ in self._pairs:
                if layer.loop is None:
                    LocalRule.of(layer).project = None

    def subspace_of(self, name: str) -> OjaSubspace:
        """Return the lateral neurons of a layer."""
        if name not in self._names:
            raise unknown_name("layer", name, self._names, "HebbianProjection")
        return self._pairs[self._names.index(name)][1]

    def get_extra_state(self) -> dict[str, Any]:
        """Return the number of tasks, the layers' names and the random generator's state."""
        return {
            "n_tasks": self.n_tasks,
            "names": list(self._names),
            "generators": [self._generator.get_state(), self._chooser.get_state()],
        }

    def set_extra_state(self, state: Any) -> None:
        """Restore what `get_extra_state` returned."""
        if state["names"] != self._names:
            raise ParameterError(
                f"the saved projection is of the layers {state['names']}, this one of "
                f"{self._names}. Make it with the same model and arguments."
            )
        self.n_tasks = int(state["n_tasks"])
        for own, saved in zip((self._generator, self._chooser), state["generators"], strict=True):
            own.set_state(saved)
        self._update_rules()


class _Learner:
    """The forward hook of a layer: shows its input to the lateral neurons."""

    def __init__(self, owner: HebbianProjection, layer: WeightLayer, space: OjaSubspace) -> None:
        self.owner, self.layer, self.space = owner, layer, space

    @torch.no_grad()
    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if not module.training or self.space.n_rows == self.space.n_frozen:
            return
        owner = self.owner
        with owner.overhead.add_to("learning"):
            x = dense(args[0]) if self.layer.loop is None else fed_back(args, output[0])
            if owner.activity is not None:
                x = owner.activity(x)
            elif x.stride(0) == 0:  # the same input at every step, expanded
                x = x[:1]
            rows = self.layer.rows(x)
            if owner.max_rows is not None and len(rows) > owner.max_rows:
                chosen = torch.randperm(len(rows), generator=owner._chooser)[: owner.max_rows]
                rows = rows[chosen.to(rows.device)]
            self.space.learn(rows)
