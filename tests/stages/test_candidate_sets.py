"""Sets are sent once a text and found again for every copy; sizes count what is sent."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.stages.dedup.candidate_sets import bounds_of, first_of_each_text, holders


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.integers(0, 4), max_size=8), min_size=1, max_size=4))
def test_every_document_finds_the_set_of_its_text(parts):
    """Several parts, each sending the set of each of its texts once; text t has t items, all of value t."""
    lengths, payload = [], []
    for part in parts:
        sent = np.zeros(len(part), np.int64)
        hashes = np.array(part, np.uint64)
        for row in first_of_each_text(hashes // 2, hashes % 2):
            sent[row] = part[row]
            payload += [part[row]] * part[row]
        lengths.append(sent)
        assert sent.sum() == sum(set(part))
    texts = np.array([text for part in parts for text in part], np.uint64)
    sizes = np.concatenate(lengths)
    bounds = bounds_of(holders(texts // 2, texts % 2, sizes), sizes)
    for text, (start, end) in zip(texts.tolist(), bounds.tolist(), strict=True):
        assert payload[start:end] == [text] * text


def test_the_first_of_each_text_is_the_first():
    high, low = np.array([5, 5, 1, 5, 1], np.uint64), np.array([0, 9, 2, 0, 2], np.uint64)
    assert first_of_each_text(high, low).tolist() == [0, 1, 2]
