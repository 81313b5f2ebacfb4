"""Either side of the threshold, through a whole run: 0.79 stays, 0.81 goes, and the ledger tells the true figure."""

import random

import pytest

from tests.support.configs import run_config, source_of
from tests.support.corpora import renamed
from tests.support.finished import ledger
from winnow.config.config import parse_config
from winnow.runs.run import run

PAIRS = 12
KINDS = {"below": (200, 23), "at": (198, 22), "above": (200, 21)}
"""Shingles, and last words that differ: Jaccard 177/223 = 0.794, 176/220 = 0.8 and 179/221 = 0.810."""


def pair(rng: random.Random, shingles: int, changed: int) -> list[str]:
    def words(count: int) -> list[str]:
        return ["".join(rng.choices("abdegiklmnoprstu", k=7)) for _ in range(count)]

    common = words(shingles + 4 - changed)
    return [" ".join([*common, *words(changed)]) for _ in range(2)]


def similarity(shingles: int, changed: int) -> float:
    return (shingles - changed) / (shingles + changed)


@pytest.mark.parametrize("verify", ["exact", "signature"])
def test_pairs_just_below_stay_and_pairs_at_it_and_just_above_go(tmp_path, verify):
    true = {kind: similarity(*KINDS[kind]) for kind in KINDS}
    assert 0.785 < true["below"] < true["at"] == 0.8 < true["above"] < 0.815
    rng = random.Random(3)
    kinds = [kind for kind in KINDS for _ in range(PAIRS)]
    texts = [text for kind in kinds for text in pair(rng, *KINDS[kind])]
    (tmp_path / "s.jsonl").write_text("\n".join(renamed(texts)) + "\n")
    sections = {"dedup": {"verify": verify, "threshold": 0.8, "guard": "off"}, "shards": {"sequence_tokens": 127}}
    config = run_config(tmp_path / "run", source_of(tmp_path / "s.jsonl", id="id"), **sections)
    context = run(parse_config(config))
    members = sum(record.counters["members"] for record in context.run.of("keepers"))
    assert members >= 2 * (3 * PAIRS - 1)  # they met, so it was verification that decided
    rows = ledger(tmp_path / "run")
    for number, kind in enumerate(kinds):
        first, second = rows[f"d{2 * number}"], rows[f"d{2 * number + 1}"]
        if kind == "below":
            assert (first["outcome"], second["outcome"]) == ("kept", "kept"), (kind, number)
            continue
        removed, kept = sorted((first, second), key=lambda row: row["outcome"] == "kept")
        assert (removed["outcome"], kept["outcome"]) == ("near_duplicate", "kept"), (kind, number)
        assert removed["keeper"] == kept["doc"]
        assert removed["similarity"] == pytest.approx(true[kind], abs=1e-6)
