"""Choosing among one copy of each text gives every copy the fate that it would have had by itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.dedup.keepers import choose_keepers
from winnow.stages.dedup import copies
from winnow.stages.dedup.copies import compared, decisions_of_all, number_texts


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    members=st.integers(1, 120),
    texts=st.integers(1, 40),
    earlier=st.sampled_from([0.0, 0.1, 0.5]),
)
def test_fates_are_those_of_the_kernel_on_all_members(seed, members, texts, earlier):
    draws = np.random.default_rng(seed)
    signed = np.repeat(draws.integers(0, 2**32, (1, 64), dtype=np.uint32), texts, axis=0)
    changed = draws.random(signed.shape) < draws.random((texts, 1)) * 0.4
    signed[changed] = draws.integers(0, 2**32, changed.sum(), dtype=np.uint32)
    text = draws.integers(0, texts, members)
    hashes = np.stack([text % 3, text], axis=1).astype(np.uint64)
    indexed = draws.random(members) < earlier
    component_of_text = draws.integers(0, 3, texts)
    order = np.argsort(component_of_text[text], kind="stable")  # members in ranked order inside each component
    text, hashes, indexed = text[order], hashes[order], indexed[order]

    def choose(rows):
        own = component_of_text[text[rows]]
        bounds = np.concatenate([np.flatnonzero(np.diff(own, prepend=-1)), [len(own)]]).astype(np.int64)
        ones = np.ones(len(rows), np.int64)
        return choose_keepers(np.arange(len(rows)), bounds, signed[text[rows]], ones, hashes[rows], 0.8, indexed[rows])

    expected = choose(np.arange(members))
    numbers = number_texts(hashes[:, 0], hashes[:, 1])
    chosen = compared(numbers, indexed)
    assert len(chosen) == indexed.sum() + len(set(text[~indexed].tolist()))
    found = decisions_of_all(chosen, choose(chosen), numbers, indexed)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("limit", [1, 50, 1 << 14])
def test_signatures_are_held_once_a_text(limit, monkeypatch):
    monkeypatch.setattr(copies, "_FIRST_LIMIT", limit)
    draws = np.random.default_rng(6)
    signed = draws.integers(0, 2**32, (30, 4), dtype=np.uint32)
    held = copies._Signatures()
    pieces = [draws.integers(0, 30, 40) for _ in range(25)]
    for texts in pieces:
        held.add(texts.astype(np.uint64) // 5, texts.astype(np.uint64) % 5, signed[texts])
    rows, kept = held.rows()
    texts = np.concatenate(pieces)
    numbers = number_texts(texts.astype(np.uint64) // 5, texts.astype(np.uint64) % 5)
    np.testing.assert_array_equal(kept[rows[numbers]], signed[texts])
    assert len(set(rows.tolist())) == 30
    assert limit > 50 or len(kept) <= 90  # of 1,000
