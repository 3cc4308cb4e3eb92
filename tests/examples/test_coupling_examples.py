"""Examples of gap junctions and astrocytes run at small size and find what they should."""

import importlib

import pytest


def run(name, folder, *options):
    """Run an example's main() into a folder and return what it found."""
    return importlib.import_module(name).main(["--out", str(folder), "--quick", *options])


def test_astrocytes(tmp_path, capsys):
    found = run("astrocytes", tmp_path)
    assert (tmp_path / "astrocytes.png").stat().st_size > 10_000
    text = capsys.readouterr().out
    for level, what in (("0.3", "is steady"), ("0.5", "oscillates"), ("0.8", "is steady")):
        assert f"IP3 {level} uM: calcium {what}" in text
    rates = found["rates"]
    assert rates["with astrocytes"] > 1.3 * rates["without astrocytes"] > 1.0


def test_worm_with_gap_junctions(tmp_path, capsys):
    """Junctions share out charge, so fewer neurons reach the threshold."""
    with_them = run("worm", tmp_path / "with", "--gap-junctions", "0.2")
    assert "Gap junctions of 0.2 nS." in capsys.readouterr().out
    without = run("worm", tmp_path / "without")
    assert "No gap junctions." in capsys.readouterr().out
    assert with_them != without
    assert with_them["touch"] == pytest.approx(without["touch"], rel=0.5)
