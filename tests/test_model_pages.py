"""docs/models is what docs/generate_model_pages.py makes of the declarations."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "docs" / "generate_model_pages.py"


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("generate_model_pages", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_are_up_to_date(generator):
    made = generator.pages()
    found = {p.name: p.read_text(encoding="utf-8") for p in generator.FOLDER.glob("*.md")}
    remedy = "run: python docs/generate_model_pages.py"
    assert set(found) == set(made), remedy
    assert [name for name in made if found[name] != made[name]] == [], remedy


def test_pages_say_everything(generator):
    """Every parameter and state has a meaning; every neuron has all sections."""
    for name, text in generator.pages().items():
        assert "|  |\n" not in text, f"{name} has an empty meaning"
        if "## Equations" in text:
            for section in ("Receptors", "Spikes", "Parameters", "States", "Integration"):
                assert f"## {section}" in text, name
