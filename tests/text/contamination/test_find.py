"""Items in texts: equal to every window looked at one by one; and what the kernel must not depend on."""

import random

import numpy as np
import pyarrow as pa
import pytest

from tests.support.coverage_reference import folded, holds
from winnow.text.contamination.coverage import MOST_PLACES, QUESTION
from winnow.text.contamination.find import Finder
from winnow.text.contamination.item_index import Rule, build_index
from winnow.text.contamination.items import Items

RULE = Rule(0.8, 0.7, 8, 10)
WORDS = "Ähre river seven Boat 42 straße κόσμος light don't house naïve table under mark".split()
FIRST = "How many eggs does the farmer sell at the market on a Sunday in the spring?"
ANSWER = "She sells sixteen eggs, because four are broken on the way and nobody wants those."


def items_of(*rows: tuple[str, ...]) -> Items:
    items = Items(["made"], ["made.jsonl"])
    for line, (question, *answers) in enumerate(rows, 1):
        items.set.append(0)
        items.line.append(line)
        items.question.append(question)
        items.answers.append(tuple(answers))
    return items


def finder(*rows: tuple[str, ...], rule: Rule = RULE) -> tuple[Finder, np.ndarray]:
    index, _ = build_index(items_of(*rows))
    return Finder(index, rule), index.item


def found(texts: list[str], *rows: tuple[str, ...], rule: Rule = RULE) -> set[tuple[int, int, str]]:
    find, item = finder(*rows, rule=rule)
    places = find(pa.array(texts, pa.large_string()))
    by = ["question" if by == QUESTION else "answer" for by in places.by]
    return set(zip(places.text.tolist(), item[places.entry].tolist(), by, strict=True))


def some_words(rng: random.Random, low: int, high: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(low, high)))


def damaged(rng: random.Random, text: str) -> str:
    """Words changed, left out or put in; parts exchanged; other marks between words."""
    words = text.split()
    for _ in range(rng.randint(0, 4)):
        at = rng.randrange(len(words))
        words[at : at + rng.randint(0, 2)] = rng.choices(WORDS, k=rng.randint(0, 2))
        words = words or ["a"]
    if rng.random() < 0.3:
        at = rng.randrange(len(words))
        words = words[at:] + rng.choices(WORDS, k=rng.randint(0, 60)) + words[:at]
    return rng.choice([" ", ", ", "\n", " - "]).join(words)


@pytest.mark.parametrize("seed", range(3))
def test_equals_every_window_looked_at(seed):
    rng = random.Random(seed)
    rows = [(some_words(rng, 3, 22), some_words(rng, 1, 18)) for _ in range(14)]
    texts = []
    for _ in range(45):
        pieces = [some_words(rng, 0, 40)]
        for row in rng.choices(rows, k=rng.randint(0, 2)):
            pieces += [damaged(rng, " ".join(row[: rng.randint(1, 2)])), some_words(rng, 0, 30)]
        texts.append("\n".join(pieces))
    expected = {
        (place, item, by)
        for place, text in enumerate(texts)
        for item, row in enumerate(rows)
        for by in holds(*row, text)
    }
    assert found(texts, *rows) == expected
    assert 20 < len(expected) < len(texts) * len(rows) / 3


def test_places_and_coverage_are_those_of_the_text():
    text = f"Before it. {FIRST.upper()} Here, then,\n{ANSWER} And after; é."
    find, _ = finder((FIRST, ANSWER))
    places = find(pa.array(["é" * 9, text], pa.large_string()))
    rows = list(zip(places.text, places.by, places.covered, places.words, places.begin, places.end, strict=True))
    held = [text.encode()[begin:end].decode() for *_, begin, end in rows]
    asked, whole = len(folded(FIRST)), len(folded(FIRST + " " + ANSWER))
    assert held == [FIRST.upper().rstrip("?"), f"{FIRST.upper()} Here, then,\n{ANSWER}".rstrip(".")]
    assert [tuple(map(int, row[:4])) for row in rows] == [(1, 0, asked, asked), (1, 1, whole, whole)]


def test_every_place_is_found_and_none_twice():
    text = "\n".join(f"Page {n}. {FIRST} {' '.join(['filler'] * 90)}" for n in range(5))
    find, _ = finder((FIRST,))
    places = find(pa.array([text], pa.large_string()))
    assert [text[b:e] for b, e in zip(places.begin, places.end, strict=True)] == [FIRST.rstrip("?")] * 5
    assert (np.diff(places.begin.astype(int)) > 0).all()


def test_at_the_limits():
    ten = "one two three four five six seven eight nine ten".split()
    nine, eight, seven = ten[:9], ten[:8], ten[:7]
    assert found([" ".join(ten[:8])], (" ".join(ten),)) == {(0, 0, "question")}  # 8 of 10
    assert found([" ".join(ten[:7])], (" ".join(ten),)) == set()
    assert found([" ".join(nine[:8])], (" ".join(nine),)) == set()  # under ten words all must be there
    assert found([" ".join(nine)], (" ".join(nine),)) == {(0, 0, "question")}
    assert found([" ".join(eight)], (" ".join(eight),)) == {(0, 0, "question")}
    assert found([" ".join(seven)], (" ".join(seven),)) == set()  # too short alone ...
    assert found([" ".join(ten)], (" ".join(seven), " ".join(ten[7:]))) == {(0, 0, "answer")}  # ... not with its answer
    assert found([" ".join(seven)], (" ".join(seven), " ".join(ten[7:]))) == {(0, 0, "answer")}  # 7 of 10
    assert found([" ".join(ten[:6])], (" ".join(seven), " ".join(ten[7:]))) == set()


def test_a_window_has_twice_the_words_and_fifty():
    half = [f"a{n}" for n in range(10)], [f"b{n}" for n in range(10)]
    item = " ".join(half[0] + half[1])
    for gap, expected in ((2 * 20 + 50 - 20, {(0, 0, "question")}), (2 * 20 + 50 - 19, set())):
        between = " ".join(f"x{n}" for n in range(gap))
        rule = RULE._replace(question=1.0)
        # of the item's runs those across the halves are missing, so all words are covered by the others
        assert found([f"{' '.join(half[0])} {between} {' '.join(half[1])}"], (item,), rule=rule) == expected


def test_batches_and_unwanted_texts_do_not_matter():
    texts = [f"{n} filler words {FIRST if n % 3 == 0 else ANSWER}" for n in range(20)]
    find, _ = finder((FIRST, ANSWER))
    column = pa.array(texts, pa.large_string())
    whole = find(column)
    pieces = [find(column.slice(n, 1)) for n in range(20)]
    for name in ("entry", "by", "covered", "begin", "end"):
        assert np.concatenate([getattr(p, name) for p in pieces]).tolist() == getattr(whole, name).tolist()
    wanted = np.arange(20) % 2 == 0
    assert set(find(column, wanted).text.tolist()) == {n for n in whole.text.tolist() if n % 2 == 0}


def test_equal_items_are_found_once_and_told_of():
    index, about = build_index(items_of((FIRST, ANSWER), ("", "x"), (FIRST.upper(), ANSWER), (FIRST,), ("too short",)))
    assert index.item.tolist() == [0, 3, 4]
    assert about.same_as.tolist() == [-1, -1, 0, -1, -1]
    assert about.question.tolist() == [16, 0, 16, 16, 2]
    assert about.longest.tolist() == [31, 0, 31, 16, 2]


def test_choices_are_answers_in_turn():
    short = "Which one of these is it?"
    rows = ((short, "the red boat in the old harbour", "a letter that nobody had ever read aloud"),)
    assert found([f"{short} a letter that nobody had ever read aloud"], *rows) == {(0, 0, "answer")}
    assert found([f"{short} the red boat in the old harbour"], *rows) == {(0, 0, "answer")}
    assert found([f"{short} a boat"], *rows) == set()


def test_nothing_to_find_and_nothing_to_look_at():
    assert found(["some text of no interest at all, whatever it is"], ("too", "short")) == set()
    find, _ = finder((FIRST,))
    assert len(find(pa.array([], pa.large_string())).text) == 0
    assert len(find(pa.array(["", " ", "one two"], pa.large_string())).text) == 0


def test_a_text_that_is_a_list_of_items_is_bounded_and_told():
    rows = [(f"number {n} of the many questions that this long list has",) for n in range(MOST_PLACES + 50)]
    find, _ = finder(*rows)
    places = find(pa.array(["x", "\n".join(row[0] for row in rows), FIRST], pa.large_string()))
    assert places.cut_short.tolist() == [False, True, False]
    assert (places.text == 1).sum() == MOST_PLACES


@pytest.mark.parametrize("times", [20_000])
def test_a_text_of_one_sentence_takes_no_square_of_time(times):
    """A hostile text repeats what a thousand items begin with."""
    begin = "Which of the following statements about the old harbour is true?"
    rows = [(begin, f"It was built in the year {n} by a man of the name {n * 7} and his sons") for n in range(1000)]
    find, _ = finder(*rows, rule=RULE._replace(min_words=12))
    assert len(find(pa.array([f"{begin} " * times], pa.large_string())).text) == 0
