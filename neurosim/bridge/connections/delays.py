"""Linear connections whose delays are learnt: one a synapse, or one an axon."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

from neurosim.bridge.connections import windows
from neurosim.bridge.connections.delay_products import axonal, synaptic
from neurosim.bridge.connections.delay_values import (
    Initial,
    check_delays,
    check_max_delay,
    initial_delays,
)
from neurosim.bridge.connections.linear import (
    BREAK_EVEN,
    Sparse,
    check_dtype,
    check_features,
    check_sizes,
    check_sparse,
    events_if,
    placed,
)
from neurosim.bridge.connections.products import autocast_type, event_linear
from neurosim.bridge.cuda import launcher
from neurosim.bridge.eager import eager_only
from neurosim.bridge.events import EventBatch, SpikeEvents, concatenated, events_of
from neurosim.bridge.layer import Layer, State, check_sequence
from neurosim.errors import DelayError, ParameterError, unknown_name

#: Density below which synapses with delays are faster at events than as shifted sums over time.
#: Measured for 12,800 rows of 256 -> 256, two taps, one thread of a Zen 5 core: events 5.6 ms for
#: each per cent, shifted sums 58 ms.
DELAY_BREAK_EVEN = 0.1


class DelayedLinear(Layer):
    """Connect all inputs to all outputs with a weight and a real-valued delay each.

    ``out[t, b, j] = bias[j] + sum_i weight[j, i] * x[t - delay[j, i], b, i]``, where a delay
    between two steps acts at both, by linear interpolation or by a wider window. The cost is that
    of the spikes times their targets, whatever the largest delay.

    Parameters
    ----------
    in_features, out_features : int
    max_delay : int
        Largest delay [steps], >= 1. A kernel of K taps (Hammouamri et al.) has
        ``max_delay = K - 1``.
    kind : {"synapse", "axon"}, default "synapse"
        One delay a weight, or one an input.
    delay_init : "uniform", float or tensor, default "uniform"
        Initial delays [steps]: uniform in [0, max_delay], one for all, or given.
    learn_delays : bool, default True
        False keeps the initial delays.
    window : None, "gaussian" or "triangular", default None
        None interpolates between two lags: cheapest, but a delay feels only its next neighbours.
        The windows see `sigma` steps around; see `windows` for the formulae.
    sigma : float, optional
        Width of the window [steps]; default ``max_delay / 2``. Usually lowered during training
        (`SigmaSchedule`).
    bias : bool, default False
    round_in_eval : bool, default False
        In evaluation mode use delays rounded to whole steps; see also `evaluate_rounded`.
    sparse, break_even
        As in `Linear`; the default break-even density is 0.1. On CUDA the delays of synapses are
        always products at events, unless False.
    stateful : bool, default False
        Keep the last `max_delay` steps of the input in a buffer and start from them; `reset`
        clears it.
    device, dtype

    Attributes
    ----------
    weight : [out_features, in_features] parameter
    delay : [out_features, in_features] or [in_features] parameter (or buffer) [steps]
    sigma : buffer, one number
    rounded : bool
        Use rounded delays now.

    Raises
    ------
    ParameterError, DelayError
        If an option is not allowed; if a delay is not in [0, max_delay].

    Notes
    -----
    An optimiser may push a delay out of [0, max_delay]. As in the paper it is then moved back to
    the border, in place, when the layer is called next; `clamp_` does the same at once. Windows
    reach no lags outside 0 .. max_delay.

    References
    ----------
    Hammouamri, Khalfaoui-Hassani & Masquelier (2024), ICLR, arXiv 2306.17670; Queant et al. (2025),
    arXiv 2509.24852.

    Examples
    --------
    >>> layer = DelayedLinear(1, 1, max_delay=4, delay_init=2.0)
    >>> x = torch.zeros(5, 1, 1); x[0] = 1.0
    >>> out, state = layer(x)
    >>> (out != 0).flatten().tolist(), state["tail"].shape
    ([False, False, True, False, False], torch.Size([4, 1, 1]))
    """

    delay: torch.Tensor
    sigma: torch.Tensor
    running_tail: torch.Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        max_delay: int,
        *,
        kind: Literal["synapse", "axon"] = "synapse",
        delay_init: Initial = "uniform",
        learn_delays: bool = True,
        window: Literal["gaussian", "triangular"] | None = None,
        sigma: float | None = None,
        bias: bool = False,
        round_in_eval: bool = False,
        sparse: Sparse = "auto",
        break_even: float | None = None,
        stateful: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.max_delay, self.kind, self.window = max_delay, kind, window
        check_sizes("DelayedLinear", in_features=in_features, out_features=out_features)
        check_max_delay(f"DelayedLinear({in_features}, {out_features})", max_delay)
        if kind not in ("synapse", "axon"):
            raise unknown_name("kind of delays", kind, ("synapse", "axon"), repr(self))
        if window not in windows.WINDOWS:
            raise unknown_name("window", window, ("gaussian", "triangular"), repr(self))
        usual = DELAY_BREAK_EVEN if kind == "synapse" else BREAK_EVEN
        self.sparse = sparse
        self.break_even = usual if break_even is None else break_even
        check_sparse(repr(self), sparse, self.break_even)
        self.round_in_eval, self.rounded, self.stateful = round_in_eval, False, stateful
        made = {"device": device, "dtype": dtype}
        self.weight = nn.Parameter(torch.empty(out_features, in_features, **made))  # type: ignore[arg-type]
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.bias = nn.Parameter(torch.zeros(out_features, **made)) if bias else None  # type: ignore[arg-type]
        shape = (out_features, in_features) if kind == "synapse" else (in_features,)
        initial = initial_delays(repr(self), delay_init, shape, max_delay).to(self.weight)
        if learn_delays:
            self.delay = nn.Parameter(initial)
        else:
            self.register_buffer("delay", initial)
        width = max_delay / 2 if sigma is None else float(sigma)
        if not 0.0 <= width < math.inf:
            raise ParameterError(f"{self!r}: sigma={sigma}: must be >= 0 steps.")
        self.register_buffer("sigma", torch.tensor(width, device=device, dtype=torch.float64))
        self._known_sigma: tuple[torch.Tensor, int, float] | None = None
        if stateful:
            self.register_buffer("running_tail", torch.zeros(0, **made))  # type: ignore[arg-type]

    @torch.no_grad()
    def clamp_(self) -> None:
        """Move delays outside [0, max_delay] to the border, in place.

        Raises
        ------
        DelayError
            If a delay is NaN. On CUDA this is not looked for, which would wait for the device:
            its output is NaN then.
        """
        if launcher.waits(self.delay.device):
            self.delay.clamp_(0.0, float(self.max_delay))
            return
        low, high = (float(v) for v in torch.aminmax(self.delay))
        if math.isnan(low) or math.isnan(high):
            raise DelayError(
                f"{self!r}: a delay is NaN. Look for NaN gradients, or lower the learning rate of "
                "the delays."
            )
        if low < 0.0 or high > self.max_delay:
            self.delay.clamp_(0.0, float(self.max_delay))

    @torch.no_grad()
    def round_(self) -> None:
        """Round all delays to whole steps (half to even), in place and for good."""
        self.clamp_()
        self.delay.round_()

    def taps(self) -> windows.Window:
        """Return the first lag of every delay and the gains of the lags from there on.

        Returns
        -------
        start : int32 tensor shaped like `delay`
        gains : tensor shaped like `delay` with the lags as last dimension
        """
        delay = self.delay
        if delay.dtype not in (torch.float32, torch.float64):
            delay = delay.float()
        if self.rounded or (self.round_in_eval and not self.training):
            return windows.rounded(delay, self.max_delay)
        if self.window is None:
            return windows.interpolation(delay, self.max_delay)
        shape = windows.gaussian if self.window == "gaussian" else windows.triangular
        return shape(delay, self.max_delay, self._sigma())

    def _sigma(self) -> float:
        """Return sigma as a number, read from its device when it has changed."""
        sigma, known = self.sigma, self._known_sigma
        if not launcher.waits(sigma.device) or sigma.is_inference():
            return float(sigma)
        if known is None or known[0] is not sigma or known[1] != sigma._version:
            self._known_sigma = known = sigma, sigma._version, float(sigma)
        return known[2]

    def largest_start(self, n_taps: int) -> int:
        """Return the largest first lag that a window of so many taps can have."""
        return self.max_delay if n_taps == 2 else max(0, self.max_delay + 1 - n_taps)

    def synapses(self) -> windows.Window:
        """Return the first lag and the weighted gains of every synapse, from inputs to outputs.

        Returns
        -------
        start : [in_features, out_features] int32 tensor
        taps : [in_features, out_features, n] tensor
        """
        start, gains = self.taps()
        weight = self.weight.to(gains.dtype).t().unsqueeze(-1)
        if self.kind == "synapse":
            return start.t(), weight * gains.transpose(0, 1)
        return start.unsqueeze(1).expand(weight.shape[:2]), weight * gains.unsqueeze(1)

    def after(self, x: torch.Tensor, state: State | None) -> dict[str, torch.Tensor]:
        """Return the state after an input [T, B, in_features], without the product."""
        tail = self._start(state, x.shape[1])
        return {"tail": self._tail(x if tail is None else torch.cat((tail.to(x.dtype), x)))}

    def _tail(self, x: torch.Tensor) -> torch.Tensor:
        missing = self.max_delay - x.shape[0]
        if missing > 0:
            x = functional.pad(x, (0, 0, 0, 0, missing, 0))
        return x[x.shape[0] - self.max_delay :]

    def dense_kernel(self) -> torch.Tensor:
        """Return the weights of all lags, [out_features, in_features, max_delay + 1].

        Lag k is the last dimension's index: ``conv1d`` with the flipped kernel is this layer.
        """
        start, gains = self.taps()
        kernel = gains.new_zeros(*gains.shape[:-1], self.max_delay + 1 + gains.shape[-1])
        lags = start.unsqueeze(-1).long() + torch.arange(gains.shape[-1], device=gains.device)
        kernel = kernel.scatter(-1, lags, gains)[..., : self.max_delay + 1]
        return self.weight.unsqueeze(-1) * kernel

    @eager_only
    def forward(
        self, x: torch.Tensor | EventBatch, state: State | None = None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the delayed product for all time steps.

        Parameters
        ----------
        x : [T, B, in_features] tensor or EventBatch
        state : dict, optional
            ``"tail"``: the `max_delay` steps of input before x, [max_delay, B, in_features].
            Default: silence, or what `stateful` kept.

        Returns
        -------
        out : [T, B, out_features] tensor
        state : dict
            The tail of the input, so that a sequence may be cut anywhere.

        Raises
        ------
        ParameterError, DelayError
            If the shape or the precision of the input does not fit; if a delay is NaN.
        """
        check_sequence(self, x)
        check_features(self, tuple(x.shape), self.in_features)
        self.clamp_()
        tail = self._start(state, int(x.shape[1]))
        out, after = self._run(x, tail)
        if self.stateful:
            self.running_tail = after.detach().clone()
        return out, {"tail": after}

    def _run(
        self, x: torch.Tensor | EventBatch, tail: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        n_steps, n_samples = int(x.shape[0]), int(x.shape[1])
        x = placed(x, self.weight)
        before = 0 if tail is None else tail.shape[0]
        values: torch.Tensor | None = None
        events: SpikeEvents | None
        if isinstance(x, torch.Tensor):
            x = check_dtype(self, x, self.weight)
            values = x if tail is None else torch.cat((tail.to(x.dtype), x))
            events = events_if(values, self.sparse, self.break_even)
            after = values
        else:
            events = events_of(x)
            if tail is not None:
                events = concatenated(events_of(tail), events)
            after = events.last(self.max_delay * n_samples).dense(self.weight.dtype)
            after = after.reshape(-1, n_samples, self.in_features)
        out = self._product(values, events, (before + n_steps, n_samples))
        return out[before:], self._tail(after)

    def _product(
        self, x: torch.Tensor | None, events: SpikeEvents | None, shape: tuple[int, int]
    ) -> torch.Tensor:
        device = launcher.launcher_for(self.weight.device) if self.sparse is not False else None
        if device is not None and x is not None:
            from neurosim.bridge.cuda.layers import delayed_product

            return delayed_product(device, self, x)
        if self.weight.device.type != "cpu":
            assert x is not None  # lists of events are on the CPU
            return self._convolved(x)
        compute = torch.float64 if self.weight.dtype == torch.float64 else torch.float32
        result = autocast_type(self.weight)
        with torch.autocast("cpu", enabled=False):
            weight = self.weight.to(compute)
            bias = None if self.bias is None else self.bias.to(compute)
            if self.kind == "synapse":
                start, taps = self.synapses()
                values = None if x is None else x.to(compute)
                out = synaptic(values, taps, start, events, shape, self.break_even)
                return (out if bias is None else out + bias).to(result)
            if events is None:
                assert x is not None
                events = events_of(x)
            start, gains = self.taps()
            delayed = axonal(x, gains, start, events, shape)
            found = events_if(delayed, self.sparse, self.break_even)
            if found is None:
                return functional.linear(delayed, weight, bias).to(result)
            return event_linear(delayed, weight, bias, found, shape).to(result)

    def _convolved(self, x: torch.Tensor) -> torch.Tensor:
        """Return the product as a dense convolution over time, for other devices."""
        kernel = self.dense_kernel()
        if self.kind == "axon":
            kernel = kernel.expand(self.out_features, -1, -1)
        rows = functional.pad(x.permute(1, 2, 0), (self.max_delay, 0))
        out = functional.conv1d(rows, kernel.flip(-1), self.bias)
        return out.permute(2, 0, 1)

    def _start(self, state: State | None, n_samples: int) -> torch.Tensor | None:
        tail: torch.Tensor | None = None
        if state:
            if set(state) != {"tail"}:
                name = next(iter(set(state) - {"tail"}))
                raise unknown_name("state", name, ("tail",), repr(self))
            tail = state["tail"]
        elif self.stateful and self.running_tail.numel():
            tail = self.running_tail
        needed = (self.max_delay, n_samples, self.in_features)
        if tail is not None and tuple(tail.shape) != needed:
            raise ParameterError(
                f"{self!r}: the state 'tail' has shape {list(tail.shape)}, but the input needs "
                f"{list(needed)}. Between batches of different size call "
                "neurosim.bridge.reset(model)."
            )
        return tail

    def reset_state(self) -> None:
        """Forget the kept input."""
        if self.stateful:
            self.running_tail = self.running_tail.new_zeros(0)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *arguments: Any) -> None:
        if f"{prefix}delay" in state_dict:
            check_delays(repr(self), state_dict[f"{prefix}delay"], self.max_delay)
        saved = state_dict.get(f"{prefix}running_tail")
        if self.stateful and saved is not None:  # may have any batch size
            self.running_tail = torch.empty_like(saved)
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def extra_repr(self) -> str:
        """Describe the layer."""
        window = "" if self.window is None else f", window={self.window!r}"
        return (
            f"{self.in_features}, {self.out_features}, max_delay={self.max_delay}, "
            f"kind={self.kind!r}{window}"
        )


def delayed_layers(model: nn.Module) -> list[DelayedLinear]:
    """Return the layers with delays inside a model."""
    return [m for m in model.modules() if isinstance(m, DelayedLinear)]
