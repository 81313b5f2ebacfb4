"""Texts that near-duplicate removal is easily wrong about: tiny, wordless, empty, and without spaces. Whole runs."""

import json
import random

import pytest

from tests.support.configs import run_config, source_of
from tests.support.finished import texts_and_decisions
from tests.support.similarity import jaccard, shingles
from winnow import schemas
from winnow.audit.verify.verify import recount
from winnow.config.config import parse_config
from winnow.runs.run import run
from winnow.runs.state import load_run

KEPT, EXACT, NEAR, EMPTY = schemas.KEPT, schemas.EXACT_DUPLICATE, schemas.NEAR_DUPLICATE, schemas.EMPTY

CHINESE = "".join(
    random.Random(1).choices("的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生", k=400)
)
JAPANESE = "".join(
    random.Random(2).choices("あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほ日本語文章", k=400)
)
THAI = "".join(random.Random(3).choices("กขคงจชซดตถทนบปผพฟมยรลวสหอะาเแโ", k=400))
KOREAN = " ".join("".join(random.Random(n).choices("가나다라마바사아자차카타파하", k=3)) for n in range(300))


def changed(text: str, *places: int, to: str = "々") -> str:
    characters = list(text)
    for place in places:
        characters[place] = to
    return "".join(characters)


CASES = {
    "one word": [("Hello", KEPT), ("Hello", EXACT), ("hello", NEAR), ("hello!", NEAR), ("world", KEPT)],
    "fewer words than an n-gram": [
        ("one two three four", KEPT),
        ("one two three four", EXACT),
        ("One, two: three (four)", NEAR),  # the same words
        ("one two three five", KEPT),  # one n-gram of four words, and another one
        ("one two three", KEPT),
        ("one two three four five", KEPT),
    ],
    "no word": [("!!! ???", KEPT), ("!!! ???", EXACT), ("??? !!!", KEPT), ("😀", KEPT), ("😀", EXACT), ("…—…", KEPT)],
    "empty after normalisation": [("", EMPTY), ("\u0000\u0007", EMPTY), (" \n\t ", EMPTY), ("", EMPTY), ("a", KEPT)],
    "Chinese": [
        (CHINESE, KEPT),
        (changed(CHINESE, 100, 300), NEAR),
        (CHINESE[200:] + CHINESE[:200], NEAR),
        (CHINESE[::-1], KEPT),
        (CHINESE + "。", NEAR),
        (changed(CHINESE, *range(7, 400, 9)), KEPT),
    ],
    "Japanese": [(JAPANESE, KEPT), (changed(JAPANESE, 50), NEAR), (JAPANESE[:250], KEPT)],
    "Thai": [(THAI, KEPT), (changed(THAI, 50, 120, to="ฮ"), NEAR), (THAI[::-1], KEPT)],
    "Korean": [(KOREAN, KEPT), (KOREAN.replace(KOREAN[:3], "갸갸갸", 1), NEAR), (KOREAN[::-1], KEPT)],
}


@pytest.mark.parametrize("verify", ["signature", "exact"])
def test_outcomes(verify, tmp_path):
    """All cases in one corpus, so that nothing of one case may meet something of another."""
    rows = [(f"{name}/{n}", *case) for name, cases in CASES.items() for n, case in enumerate(cases)]
    data = tmp_path / "data.jsonl"
    data.write_text("\n".join(json.dumps({"id": name, "text": text}) for name, text, _ in rows))
    dedup = {"verify": verify, "keep": ["first"]}
    config = run_config(tmp_path / "run", source_of(data, "hard", id="id"), dedup=dedup, shards={"sequence_tokens": 63})
    run(parse_config(config))
    finished = load_run(config["run"])
    texts, decisions = texts_and_decisions(finished)
    found = {name: row["outcome"] for (name, _, _), row in zip(rows, decisions.values(), strict=True)}
    assert found == {name: outcome for name, _, outcome in rows}
    for doc, row in decisions.items():
        if row["outcome"] == NEAR:
            true = jaccard(shingles(texts[doc]), shingles(texts[row["keeper"]]))
            assert true >= 0.8
            assert verify == "signature" or row["similarity"] == pytest.approx(true, abs=1e-6)
    assert all(balance.expected == balance.found for balance in recount(finished))
