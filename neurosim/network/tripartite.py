"""Tripartite connections: synapses whose third partner (an astrocyte) listens and answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from neurosim.models.synapse import SynapseModel
from neurosim.network.checks import name_of
from neurosim.network.couplings import Couplings, SignalCoupling
from neurosim.network.population import Target
from neurosim.network.projection import Projection
from neurosim.network.rule import Rule
from neurosim.network.third_factor import ThirdFactor

#: The slow inward current of `astrocyte_lr_1994`.
SLOW_INWARD_CURRENT = "SIC_scale*1[pA]*log(max((Ca_astro - SIC_th)*1000, 1))"


class Tripartite(NamedTuple):
    """What `Network.tripartite` added.

    Attributes
    ----------
    primary : Projection
        Neuron to neuron.
    third_in : Projection
        Neuron to astrocyte.
    third_out : SignalCoupling
        Astrocyte to neuron.
    """

    primary: Projection
    third_in: Projection
    third_out: SignalCoupling


class TripartiteConnections(Couplings):
    """The part of a `Network` that describes tripartite connections."""

    _projections: dict[str, Projection]
    connect: Callable[..., Projection]

    def tripartite(
        self,
        pre: Target,
        post: Target,
        astrocytes: Target,
        rule: Rule | None = None,
        *,
        p_third: float = 1.0,
        pool_size: int | None = None,
        pool: str = "random",
        weight: Any = 1.0,
        delay: Any = 1.0,
        synapse: SynapseModel | None = None,
        receptor: str | None = None,
        third_weight: Any = 1.0,
        third_delay: Any = 1.0,
        third_synapse: SynapseModel | None = None,
        sic_weight: Any = 1.0,
        sic_delay: Any = 1.0,
        interval: float = 1.0,
        signal: str = SLOW_INWARD_CURRENT,
        into: str = "I_e",
        name: str | None = None,
    ) -> Tripartite:
        """Connect neurons, and astrocytes as third partners of their synapses.

        Every synapse from `pre` to `post` gets, with probability `p_third`, an astrocyte from the
        pool of its target: the source's spikes reach it too, and it sends its slow inward current
        to the target. This is NEST's ``TripartiteConnect`` with
        ``third_factor_bernoulli_with_pool``.

        Parameters
        ----------
        pre, post, astrocytes : Population or PopulationView
        rule : Rule, optional
            Which neurons are connected; default `AllToAll`.
        p_third : float, default 1.0
            Probability that a synapse gets an astrocyte.
        pool_size, pool
            How many astrocytes a target may have and which, see
            `neurosim.network.ThirdFactor`.
        weight, delay, synapse, receptor
            Of the synapses between neurons, as in `connect`.
        third_weight, third_delay, third_synapse
            Of the connections from neurons to astrocytes, as in `connect`.
        sic_weight, sic_delay, interval, signal, into
            Of the connections from astrocytes to neurons, as in `couple`. The default signal [pA]
            is that of `astrocyte_lr_1994`.
        name : str, optional
            Name of the primary projection; the others are ``"<name>, in"`` and ``"<name>, out"``.

        Returns
        -------
        Tripartite
            The two projections and the coupling.

        Raises
        ------
        NetworkError, ParameterError, DelayError, UnknownNameError
            As `connect` and `couple`; also if pools cannot be formed. Nothing is added then.

        Examples
        --------
        >>> import neurosim as ns
        >>> net = ns.Network()
        >>> cells = net.population(100, ns.models.aeif_cond_alpha(), name="cells")
        >>> astrocytes = net.population(50, ns.models.astrocyte_lr_1994(), name="astrocytes")
        >>> net.tripartite(
        ...     cells, cells, astrocytes, ns.FixedProbability(0.1), p_third=0.5, pool_size=10
        ... ).third_out.name
        'cells->cells, out'
        """
        where = f"tripartite({name_of(pre)} -> {name_of(post)}, {name_of(astrocytes)})"
        for side in (pre, post, astrocytes):
            self._check_target(side, where)
        pools: Any = {"p": p_third, "pool_size": pool_size, "pool": pool}
        ThirdFactor("", "in", **pools).check_pool(astrocytes.n, post.n, where)
        added: list[tuple[dict[str, Any], str]] = []
        try:
            primary = self.connect(
                pre, post, rule, weight=weight, delay=delay, synapse=synapse, receptor=receptor,
                name=name,
            )  # fmt: skip
            added.append((self._projections, primary.name))
            third_in = self.connect(
                pre, astrocytes, ThirdFactor(primary.name, "in", **pools), weight=third_weight,
                delay=third_delay, synapse=third_synapse, name=f"{primary.name}, in",
            )  # fmt: skip
            added.append((self._projections, third_in.name))
            third_out = self.couple(
                astrocytes, post, ThirdFactor(primary.name, "out", **pools), signal=signal,
                weight=sic_weight, delay=sic_delay, interval=interval, into=into,
                name=f"{primary.name}, out",
            )  # fmt: skip
        except Exception:
            for group, key in added:
                del group[key]
            raise
        return Tripartite(primary, third_in, third_out)
