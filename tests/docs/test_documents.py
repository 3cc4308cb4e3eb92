"""The code in the documents runs, and their links lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(path, language):
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.DOTALL)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_python_blocks_run_in_order(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = blocks(path, "python")
    if not code:
        return
    names = {"__name__": "document"}
    exec("import neurosim as ns\n", names)
    for block in code:
        exec(compile(block, path.name, "exec"), names)
    if path.name == "README.md":
        assert 3.0 < names["spikes"].rate() < 10.0  # CUBA fires at 5 to 6 spikes/s
        assert (tmp_path / "exc.h5").exists()
        assert (tmp_path / "raster.png").exists()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_to_files_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"
