"""What a simulation will do, as text: plan, order of a step, generated kernels."""

from __future__ import annotations

from neurosim.lower.continuous import ContinuousPlan, ContinuousPopulation
from neurosim.lower.memory import gib
from neurosim.lower.plan import Plan, PopulationPlan
from neurosim.simulation import Simulation

_ORDER = """A step n goes from t(n-1) to t(n) = n*dt, in this order:
  1. every state is propagated over dt (held ones stand still)
  2. what arrives at t(n) is added to the receptor states
  3. the threshold is tested
  4. neurons above it are reset; their spikes have the time t(n)
  5. states are recorded
A spike with delay d arrives at t + d."""
_CONTINUOUS = """Time is continuous. At each time at which something happens, in this order:
  1. what arrives is added to the receptor states
  2. injected currents change, refractory periods end
  3. the threshold of every neuron concerned is tested; its next crossing is found exactly
  4. neurons at threshold are reset; a spike with delay d arrives at t + d."""


def explain(simulation: Simulation, *, kernels: bool = True) -> str:
    """Return what a simulation does: populations, projections, memory, step order, kernels.

    Parameters
    ----------
    simulation : Simulation
    kernels : bool
        Whether to append the generated source of every population.
    """
    plan, counters = simulation.plan, simulation.counters
    lines = [f"engine {simulation.engine!r}, dt = {simulation.dt} ms, seed = {simulation.seed}", ""]
    lines.append("populations")
    lines += [f"  {_population(p)}" for p in plan.populations]
    lines += ["", "projections"]
    lines += [f"  {_projection(plan, k)}" for k in range(len(plan.connections))] or ["  none"]
    lines += _couplings(plan)
    lines += ["", f"memory: {gib(counters['bytes'])}"]
    for name, strategy in counters.get("strategies", {}).items():
        lines.append(f"strategy of {name}: {strategy}")
    lines += ["", _CONTINUOUS if simulation.dt is None else _ORDER]
    if kernels:
        for name, source in simulation.sources().items():
            lines += ["", f"kernels of {name}", "-" * (11 + len(name)), source.rstrip()]
    return "\n".join(lines)


def _population(p: PopulationPlan | ContinuousPopulation) -> str:
    text = f"{p.name}: {p.n} x "
    if p.model is None:
        return text + {"poisson": "Poisson generator", "given": "given spikes"}.get(p.kind, p.kind)
    model = p.model
    text += model.spec.name
    if model.linear:
        text += f"; {', '.join(model.linear)} exactly"
    if model.stepped:
        text += f"; {', '.join(model.stepped)} by {model.method}"
    if model.mapped:
        text += f"; {', '.join(model.mapped)} by maps"
    return text + f"; receptors in use: {', '.join(p.receptors) or 'none'}"


def _couplings(plan: Plan | ContinuousPlan) -> list[str]:
    """Return the lines on gap junctions and continuous signals, if there are any."""
    if isinstance(plan, ContinuousPlan):
        return []
    lines = []
    if plan.gaps is not None:
        names = ", ".join(f"{plan.populations[p].name}" for p in sorted(plan.gaps.populations))
        lines.append(
            f"  {plan.gaps.partner.size // 2} gap junctions between {plan.gaps.capacitance.size} "
            f"membranes of {names}, half a step before and after each step"
        )
    for s in plan.signals:
        pre, post = plan.populations[s.pre].name, plan.populations[s.post].name
        lines.append(f"  {s.name}: {pre} ~> {post}, {len(s.edges)} pairs, every {s.every} steps")
    return ["", "couplings", *lines] if lines else []


def _projection(plan: Plan | ContinuousPlan, number: int) -> str:
    c = plan.connections[number]
    pre, post = plan.populations[c.pre].name, plan.populations[c.post].name
    weights = "one weight" if c.spec.constant else "a weight each"
    return f"{c.name}: {pre} -> {post}, {c.spec.rule!r}, {weights}"
