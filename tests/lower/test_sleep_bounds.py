"""The bound of sleeping neurons at extreme time constants."""

import warnings

import pytest

import neurosim as ns
from neurosim.lower.model import lower_model
from neurosim.lower.sleep import Sleep, sleep_of


def lowered(tau_syn):
    model = ns.models.iaf_psc_exp(tau_syn_ex=tau_syn, tau_m=10.0)
    return lower_model(model, model.values, {}, n=1, dt=0.1, inject=None)


@pytest.mark.parametrize("tau_syn", (0.1, 5.0, 900.0))
def test_usual_time_constants_can_sleep(tau_syn):
    assert isinstance(sleep_of(lowered(tau_syn)), Sleep)


def test_absurd_time_constants_are_refused_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ns.errors.ParameterWarning)
        model = lowered(1e9)
    assert sleep_of(model) == "its time constants differ by too many orders of magnitude"
