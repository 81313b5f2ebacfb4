"""Held-out text in an arm's rows, against a search by hand in the decoded rows."""

import re

import numpy as np
import pyarrow as pa
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `ablate`)")

from tests.ablate.plans import sentences
from tests.support.shard_sets import write_set
from winnow.ablate.shared import HeldOutGrams, texts_of_rows
from winnow.tokens.config import TokeniserConfig
from winnow.tokens.tokeniser import Tokeniser


@pytest.fixture(scope="module")
def tokeniser():
    return Tokeniser(TokeniserConfig(encoding="o200k_base"))


def runs_of_13(text):
    words = re.findall(r"\w+", text.casefold())
    return [tuple(words[at : at + 13]) for at in range(len(words) - 12)]


def test_every_run_of_13_words_is_looked_for_across_rows(tokeniser, tmp_path):
    trained = sentences("ka", 5, 30)
    encoded = []
    for text in trained:
        ids = tokeniser.encode(pa.array([text], pa.large_string())).ids.tolist()
        encoded += [*ids, tokeniser.vocabulary.end_of_text]
    rows = np.array(encoded[: len(encoded) // 33 * 33], np.uint32).reshape(-1, 33)
    shards = write_set(tmp_path, {"train": [rows[:20], rows[20:]]})
    half = trained[3][: len(trained[3]) // 2] + " " + sentences("su", 6, 1)[0]
    held = [trained[0], sentences("ka", 7, 1)[0], half, "too short", trained[4].upper()]
    found = HeldOutGrams(held)
    shares = found.shares(texts_of_rows(str(shards), tokeniser.vocabulary))
    text = tokeniser.vocabulary.decode(rows.flatten()).decode()
    there = set(runs_of_13(text))
    for place, document in enumerate(held):
        mine = [run in there for run in runs_of_13(document)]
        assert found.counts[place] == len(mine)
        assert shares[place] == pytest.approx(np.mean(mine) if mine else 0.0), place
    assert shares[0] == shares[4] == 1.0 and shares[1] == shares[3] == 0.0 and 0.1 < shares[2] < 0.9
