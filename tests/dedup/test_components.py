"""Connected components against scipy, and text hashes against xxhash."""

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components as scipy_components

from winnow.dedup.components import connected_components
from winnow.dedup.exact import text_hashes


def reference(edges):
    docs, ends = np.unique(edges, return_inverse=True)
    ends = ends.reshape(-1, 2)
    graph = coo_matrix((np.ones(len(edges)), (ends[:, 0], ends[:, 1])), shape=(len(docs), len(docs)))
    _, labels = scipy_components(graph, directed=False)
    _, first = np.unique(labels, return_index=True)  # docs are sorted: the first of a label is its smallest
    return docs, docs[first[labels]]


def check(edges, chunks):
    docs, components = connected_components(np.array_split(edges, chunks))
    expected_docs, expected_components = reference(edges)
    assert docs.dtype == components.dtype == np.uint64
    np.testing.assert_array_equal(docs, expected_docs)
    np.testing.assert_array_equal(components, expected_components)


ends = st.one_of(st.integers(0, 12), st.sampled_from([2**32, 2**40 + 5, 2**63, 2**64 - 1]))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(ends, ends), min_size=1, max_size=40), st.integers(1, 4))
def test_small_graphs_equal_scipy(edges, chunks):
    check(np.array(edges, np.uint64), chunks)


@pytest.mark.parametrize("edges_per_doc", [0.3, 0.5, 2.0])
def test_random_graph_that_outgrows_the_first_table(edges_per_doc):
    draws = np.random.default_rng(1)
    edges = draws.integers(0, 20_000, (int(20_000 * edges_per_doc), 2), dtype=np.uint64)
    check((edges % np.uint64(7) << np.uint64(32)) | edges, 5)


def test_long_path_in_the_worst_order():
    docs = np.arange(100_000, dtype=np.uint64)[::-1]
    check(np.stack([docs[:-1], docs[1:]], axis=1), 3)


def test_no_edges():
    docs, components = connected_components([])
    assert len(docs) == len(components) == 0
    docs, components = connected_components([np.empty((0, 2), np.uint64)])
    assert len(docs) == len(components) == 0


def test_text_hashes_are_xxh3_128():
    texts = ["", "abc", "日本語", "x" * 5000, "abc"]
    column = pa.array(["cut off", *texts], pa.large_string())[1:]
    hashes = text_hashes(column)
    assert hashes.dtype == np.uint64 and hashes.shape == (5, 2)
    for text, (high, low) in zip(texts, hashes.tolist(), strict=True):
        assert high << 64 | low == xxhash.xxh3_128_intdigest(text.encode())
    assert text_hashes(pa.array([], pa.large_string())).shape == (0, 2)
