"""Connection rules: checks of their arguments, and explicit edges from other libraries."""

from pathlib import Path

import h5py
import networkx as nx
import numpy as np
import pytest
import scipy.sparse

from neurosim.errors import FileFormatError, NetworkError, ParameterError
from neurosim.network import (
    AllToAll,
    Explicit,
    FixedIndegree,
    FixedOutdegree,
    FixedProbability,
    FixedTotalNumber,
    OneToOne,
)
from neurosim.network.rules import rule_from_dict

SONATA = Path(__file__).parents[3] / "shared/data/formats/sonata/300_pointneurons/network"
needs_sonata = pytest.mark.skipif(not SONATA.exists(), reason="no SONATA sample in ../shared")


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: FixedProbability(1.5), ParameterError, "p = 1.5; a probability between 0 and 1"),
        (lambda: FixedProbability(float("nan")), ParameterError, "p = nan"),
        (lambda: FixedIndegree(-1), ParameterError, "k = -1; a whole number >= 0"),
        (lambda: FixedOutdegree(2.5), ParameterError, "k = 2.5; a whole number"),
        (lambda: FixedTotalNumber(True), ParameterError, "n = True"),
        (lambda: Explicit([0, 1], [0]), NetworkError, "pre has shape (2,) and post (1,)"),
        (lambda: Explicit([0.5], [0]), NetworkError, "pre has type float64; whole numbers"),
        (lambda: Explicit([0], [-3]), NetworkError, "post id -3 at synapse 0 is negative"),
        (lambda: Explicit([[0]], [[0]]), NetworkError, "pre has shape (1, 1); a flat array"),
        (lambda: Explicit([0], [0], weight=[1, 2]), NetworkError, "weight has shape (2,)"),
        (lambda: Explicit.from_scipy([[1]]), NetworkError, "a SciPy sparse matrix is needed"),
    ],
)
def test_nonsense_is_refused(make, error, text):
    with pytest.raises(error) as caught:
        make()
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "sizes", "overlap", "text"),
    [
        (FixedIndegree(11, multapses=False), (10, 5), 0, "needs 11 different sources"),
        (FixedIndegree(10, multapses=False, autapses=False), (10, 10), 10, "but there are 9"),
        (FixedOutdegree(6, multapses=False), (10, 5), 0, "needs 6 different targets"),
        (FixedOutdegree(1, autapses=False), (1, 1), 1, "Lower k or allow autapses"),
        (FixedTotalNumber(51, multapses=False), (10, 5), 0, "needs 51 different pairs"),
        (FixedTotalNumber(1, autapses=False), (1, 1), 1, "there are 0"),
        (OneToOne(), (10, 5), 0, "equally many sources and targets, got 10 and 5"),
        (Explicit([0, 10], [0, 0]), (10, 5), 0, "1 of 2 pre ids are outside 0 ... 9 (first: 10"),
        (Explicit([0, 1], [0, 5]), (10, 5), 0, "post ids are outside 0 ... 4 (first: 5"),
    ],
)
def test_impossible_rules_are_refused(rule, sizes, overlap, text):
    with pytest.raises(NetworkError) as caught:
        rule.check(*sizes, overlap, "connect(a -> b)")
    assert str(caught.value).startswith("connect(a -> b): ")
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "rule",
    [
        FixedProbability(0.1, autapses=False),
        FixedIndegree(3),
        FixedOutdegree(3, multapses=False),
        FixedTotalNumber(7),
        AllToAll(autapses=False),
        OneToOne(),
    ],
)
def test_round_trip(rule):
    assert rule_from_dict(rule.to_dict()) == rule


def test_scipy_rows_are_sources():
    matrix = scipy.sparse.random_array((20, 30), density=0.2, rng=np.random.default_rng(1))
    rule = Explicit.from_scipy(matrix.tocsc())
    dense = np.zeros((20, 30))
    dense[rule.pre, rule.post] = rule.weight
    np.testing.assert_array_equal(dense, matrix.toarray())


def test_networkx_directed_graph_keeps_edges_and_attributes():
    graph = nx.DiGraph()
    graph.add_nodes_from("abc")
    graph.add_edge("a", "c", weight=2.0, d=1.5)
    graph.add_edge("c", "b", weight=-3.0, d=0.5)
    rule = Explicit.from_networkx(graph, delay="d")
    assert list(zip(rule.pre, rule.post, rule.weight, rule.delay, strict=True)) == [
        (0, 2, 2.0, 1.5),
        (2, 1, -3.0, 0.5),
    ]


def test_networkx_undirected_edges_go_both_ways_and_loops_once():
    graph = nx.Graph([(0, 1), (1, 1)])
    rule = Explicit.from_networkx(graph)
    assert sorted(zip(rule.pre.tolist(), rule.post.tolist(), strict=True)) == [
        (0, 1),
        (1, 0),
        (1, 1),
    ]
    assert rule.weight is None


def test_networkx_partial_attributes_are_refused():
    graph = nx.DiGraph()
    graph.add_edge(0, 1, weight=1.0)
    graph.add_edge(1, 0)
    with pytest.raises(NetworkError, match="1 of 2 edges have no attribute 'weight'"):
        Explicit.from_networkx(graph)
    with pytest.raises(NetworkError, match="no edge has the attribute 'delay'"):
        Explicit.from_networkx(nx.DiGraph([(0, 1)]), delay="delay")


@needs_sonata
def test_sonata_edges_equal_those_of_libsonata():
    libsonata = pytest.importorskip("libsonata")
    path = SONATA / "internal_internal_edges.h5"
    rule = Explicit.from_sonata(path, edge_types=SONATA / "internal_internal_edge_types.csv")
    edges = libsonata.EdgeStorage(str(path)).open_population("internal_to_internal")
    everything = edges.select_all()
    np.testing.assert_array_equal(rule.pre, edges.source_nodes(everything))
    np.testing.assert_array_equal(rule.post, edges.target_nodes(everything))
    np.testing.assert_array_equal(rule.weight, edges.get_attribute("syn_weight", everything))
    assert set(rule.delay) == {2.0}  # the edge types file gives 2 ms to every type


@needs_sonata
def test_sonata_without_types_has_no_delays():
    assert Explicit.from_sonata(SONATA / "internal_internal_edges.h5").delay is None


@needs_sonata
def test_sonata_errors_name_what_is_there():
    with pytest.raises(FileFormatError, match="Populations: internal_to_internal"):
        Explicit.from_sonata(SONATA / "internal_internal_edges.h5", "nobody")
    with pytest.raises(FileFormatError, match="no group /edges"):
        Explicit.from_sonata(SONATA / "internal_nodes.h5")


def test_sonata_file_that_is_no_hdf5(tmp_path):
    (tmp_path / "edges.h5").write_text("hello")
    with pytest.raises(FileFormatError, match="cannot be read as a SONATA edges file"):
        Explicit.from_sonata(tmp_path / "edges.h5")
    with pytest.raises(FileNotFoundError, match=r"none\.h5: there is no such file"):
        Explicit.from_sonata(tmp_path / "none.h5")


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"edge_group_index": [0, 5]}, "edge_group_index 5 lies outside /edges/x/0/syn_weight"),
        ({"target_node_id": [1]}, "columns of unequal length"),
        ({"source_node_id": [0.5, 1.0]}, "type float64; a flat list of whole numbers is needed"),
        ({"source_node_id": "zero"}, "cannot be read as a SONATA edges file"),
    ],
)
def test_damaged_sonata_edges_are_named(tmp_path, changed, text):
    columns = {
        "source_node_id": [0, 1],
        "target_node_id": [1, 0],
        "edge_type_id": [7, 7],
        "edge_group_id": [0, 0],
        "edge_group_index": [0, 1],
    }
    with h5py.File(tmp_path / "edges.h5", "w") as file:
        for name, values in (columns | changed).items():
            file[f"edges/x/{name}"] = values
        file["edges/x/0/syn_weight"] = [1.0, 2.0]
    with pytest.raises(FileFormatError, match=text):
        Explicit.from_sonata(tmp_path / "edges.h5")


def test_damaged_sonata_edge_types_are_named(tmp_path):
    (tmp_path / "types.csv").write_text("edge_type_id syn_weight\n1 much\n")
    (tmp_path / "edges.h5").write_bytes(b"\x89HDF")
    with pytest.raises(FileFormatError, match=r"cannot be read as edge types .*'much'"):
        Explicit.from_sonata(tmp_path / "edges.h5", edge_types=tmp_path / "types.csv")
    with pytest.raises(FileFormatError, match="cannot be read as edge types"):
        Explicit.from_sonata(tmp_path / "edges.h5", edge_types=tmp_path / "edges.h5")


def test_ids_beyond_64_signed_bits_are_refused():
    with pytest.raises(NetworkError, match="does not fit into 64 signed bits"):
        Explicit(np.array([2**63 + 5], np.uint64), [0])
