"""The code in the documents runs, and their links lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "examples/README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]


def blocks(path, language):
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.DOTALL)


def shortened(text):
    """Return a text that trains for one epoch where it says more."""
    return re.sub(r"\bepochs( ?= ?)\d+", r"epochs\g<1>1", text)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_python_blocks_run_in_order(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = blocks(path, "python")
    if not code:
        return
    if any("bridge" in block for block in code):
        pytest.importorskip("torch")
    names = {"__name__": "document"}
    exec("import neurosim as ns\n", names)
    for block in code:
        exec(compile(shortened(block), path.name, "exec"), names)
    if path.name == "README.md":
        # CUBA fires at 5 to 6 spikes/s; neurons that fire once or twice have no CV
        rate, cv = re.search(
            r"(\S+) spikes/s, CV of intervals (\S+)", capsys.readouterr().out
        ).groups()
        assert 3.0 < float(rate) < 10.0
        assert 0.3 < float(cv) < 0.8
        assert (tmp_path / "exc.h5").exists()
        assert (tmp_path / "raster.png").exists()
        assert names["run"].decisions("mean")[0] == names["result"].predictions[0]
        assert names["result"].accuracy > 0.3  # after one epoch; chance is 0.1


def test_configurations_train(tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    from neurosim.cli import main

    monkeypatch.chdir(tmp_path)
    texts = [t for p in DOCUMENTS for t in blocks(p, "toml")]
    assert texts
    for k, text in enumerate(texts):
        smaller = shortened(text).replace('split = "train"', 'split = "test"')
        (tmp_path / f"{k}.toml").write_text(smaller)
        assert main(["train", f"{k}.toml"]) == 0
        assert "test: accuracy" in capsys.readouterr().out


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(path):
    prose = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"
