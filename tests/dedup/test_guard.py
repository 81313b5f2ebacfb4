"""The guard against plain Python, in every way that keepers are searched for."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.dedup import keeper_search
from winnow.dedup.guard import REASONS, TEMPLATE_TEXTS, UNKNOWN, Guard, lost_ngrams, make_guard, no_guard, rare_ngrams
from winnow.dedup.guard_config import GuardConfig
from winnow.dedup.keepers import choose_keepers

ASK_NOTHING = {"script": False, "language": False, "min_containment": 0.0, "keeper_not_shorter": False}


def flat(sets: list[set[int]]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.concatenate([[0], np.cumsum([len(own) for own in sets])]).astype(np.int64)
    values = np.concatenate([np.array(sorted(own), np.uint32) for own in sets] or [np.empty(0, np.uint32)])
    return values, np.stack([offsets[:-1], offsets[1:]], axis=1)


def guard_of(sets, settings, known=None, script=None, language=None, characters=None, component=None) -> Guard:
    members = len(sets)
    ngrams, bounds = flat(sets)
    return make_guard(
        GuardConfig(**settings),
        ngrams,
        bounds,
        np.ones(members, bool) if known is None else np.array(known, bool),
        np.ones(members, np.uint8) if script is None else np.array(script, np.uint8),
        np.ones(members, np.uint32) if language is None else np.array(language, np.uint32),
        np.full(members, 100) if characters is None else np.array(characters, np.int64),
        np.zeros(members, np.uint64) if component is None else np.array(component, np.uint64),
    )


def pair(settings, removed: dict, kept: dict) -> tuple[int, str, int]:
    """Two documents of similarity 0.9: keeper, reason and loss of the second-ranked one."""
    signed = np.zeros((2, 10), np.uint32)
    signed[1, 0] = 1
    both = {name: [kept.get(name), removed.get(name)] for name in ("script", "language", "characters", "known")}
    given_columns = {name: values for name, values in both.items() if None not in values}
    guard = guard_of([kept["ngrams"], removed["ngrams"]], settings, **given_columns)
    args = (np.arange(2), np.array([0, 2]), signed, np.ones(2, np.int64), np.arange(4, dtype=np.uint64).reshape(2, 2))
    decided = choose_keepers(*args, 0.8, np.zeros(2, bool), guard=guard)
    assert decided.keeper[0] == -1
    if decided.reason[1]:
        assert (decided.keeper[1], decided.refused[1]) == (-1, 0)
    assert decided.similarity[1] == np.float32(0.9)
    return int(decided.keeper[1]), REASONS[decided.reason[1]], int(decided.lost[1])


@settings(max_examples=200, deadline=None)
@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_what_is_lost_is_the_difference_of_the_sets(removed, kept):
    values, bounds = flat([removed, kept])
    assert lost_ngrams(values, *bounds[0], *bounds[1]) == len(removed - kept)


def test_containment_is_the_share_of_the_removed_text():
    """Not of the keeper's, of which the removed one holds half."""
    settings = ASK_NOTHING | {"min_containment": 0.9}
    small, large = {"ngrams": set(range(10))}, {"ngrams": set(range(20))}
    assert pair(settings, small, large) == (0, "", 0)
    assert pair(settings, large, small) == (-1, "containment", 10)
    assert pair(settings, {"ngrams": {*range(9), 99}}, large) == (0, "", 1)  # 0.9 itself is enough
    assert pair(settings, {"ngrams": {*range(8), 98, 99}}, large) == (-1, "containment", 2)


@pytest.mark.parametrize(
    ("asked", "removed", "kept", "reason"),
    [
        ({"script": True}, {"script": 2}, {"script": 1}, "script"),
        ({"script": True}, {"script": 0}, {"script": 1}, ""),
        ({"script": True}, {"script": 1}, {"script": 0}, ""),
        ({"script": True}, {"script": 2}, {"script": 2}, ""),
        ({"language": True}, {"language": 7}, {"language": 8}, "language"),
        ({"language": True}, {"language": 0}, {"language": 8}, ""),
        ({"language": True}, {"language": 7}, {"language": 0}, ""),
        ({"keeper_not_shorter": True}, {"characters": 101, "ngrams": {1, 2, 3, 4}}, {"characters": 100}, "shorter"),
        ({"keeper_not_shorter": True}, {"characters": 101}, {"characters": 100}, ""),  # nothing is lost
        ({"keeper_not_shorter": True}, {"characters": 100}, {"characters": 100}, ""),
        ({"keeper_not_shorter": True}, {"characters": 99}, {"characters": 100}, ""),
        ({}, {"script": 2, "language": 7, "characters": 101}, {"script": 1, "language": 8, "characters": 1}, ""),
        (
            {"script": True, "language": True, "keeper_not_shorter": True, "min_containment": 1.0},
            {"script": 2, "language": 7, "characters": 101, "known": 0},
            {"script": 1, "language": 8, "characters": 1, "known": 1},
            "",
        ),
    ],
)
def test_each_question(asked, removed, kept, reason):
    ngrams = {"ngrams": {1, 2, 3}}
    keeper, found, lost = pair(ASK_NOTHING | asked, ngrams | removed, ngrams | kept)
    assert (keeper, found) == (-1 if reason else 0, reason)
    assert lost == (UNKNOWN if removed.get("known") == 0 else len(removed.get("ngrams", ())) // 4)


def slow_refusal(guard: Guard, sets, rare, config: dict, member: int, keeper: int) -> tuple[str, int]:
    """The rule as a person would say it."""
    if not (guard.known[member] and guard.known[keeper]):
        return "", UNKNOWN
    own, others = sets[member], sets[keeper]
    lost = len(own - others)
    for name, column in (("script", guard.script), ("language", guard.language)):
        if config[name] and 0 not in (column[member], column[keeper]) and column[member] != column[keeper]:
            return name, lost
    if config["keeper_not_shorter"] and lost and guard.characters[keeper] < guard.characters[member]:
        return "shorter", lost
    if own and len(own & others) / len(own) < config["min_containment"]:
        return "containment", lost
    if config["templates"] == "keep":
        mine, theirs = own & rare, others & rare
        if mine - others and theirs - own and 2 * len(mine & others) < len(mine):
            return "template", lost
    return "", lost


@pytest.mark.parametrize("members", [150, 3 * keeper_search.INDEX_FROM])
@pytest.mark.parametrize("templates", ["remove", "keep"])
def test_keepers_follow_the_rule(members, templates):
    """Also where keepers are found by their index, and met in another order than they rank."""
    draws = np.random.default_rng(members)
    num_perm = 64
    families = draws.integers(0, 2**32, (4 if members < 200 else 200, num_perm), dtype=np.uint32)
    family = draws.integers(0, len(families), members)
    signed = families[family]
    changed = draws.random(signed.shape) < 0.05
    signed[changed] = draws.integers(0, 2**32, changed.sum(), dtype=np.uint32)
    pool = [set(draws.integers(0, 2**32, 60).tolist()) for _ in families]
    sets = [
        {n for n in pool[f] if draws.random() < 0.97} | set(draws.integers(0, 2**32, draws.integers(0, 6)).tolist())
        for f in family
    ]
    config = {"script": True, "language": True, "keeper_not_shorter": True, "min_containment": 0.9}
    config |= {"templates": templates}
    guard = guard_of(
        sets, config,
        known=draws.random(members) < 0.95,
        script=draws.choice([0, 1, 1, 1, 2], members),
        language=draws.choice([0, 0, 5, 5, 6], members),
        characters=draws.integers(95, 105, members),
    )  # fmt: skip
    rank, earlier = draws.permutation(members).astype(np.int64), draws.random(members) < 0.1
    hashes = np.stack([np.arange(members)] * 2, axis=1).astype(np.uint64)
    decided = choose_keepers(
        rank, np.array([0, members]), signed, np.ones(members, np.int64), hashes, 0.8, earlier, guard=guard
    )
    rare = {n for n, held in Counter(n for own in sets for n in own).items() if held < TEMPLATE_TEXTS}
    kept: list[int] = []
    reasons: Counter[str] = Counter()
    for member in sorted(range(members), key=lambda m: (not earlier[m], rank[m])):
        found, refused, why, lost = -1, -1, "", UNKNOWN
        for other in kept if not earlier[member] else ():
            if (signed[other] == signed[member]).mean() < 0.8:
                continue
            reason, number = slow_refusal(guard, sets, rare, config, member, other)
            if not reason:
                found, lost = other, number
                break
            if refused < 0:
                refused, why, lost = other, reason, number
        assert decided.keeper[member] == found
        assert (decided.refused[member], REASONS[decided.reason[member]]) == (refused, why)
        assert decided.lost[member] == lost
        reasons[why] += 1
        if found < 0:
            kept.append(member)
    wanted = {"script", "language", "shorter", "containment"} | ({"template"} if templates == "keep" else set())
    assert wanted <= set(reasons)  # or this would show nothing
    assert members < 200 or len(kept) > keeper_search.INDEX_FROM
    assert (decided.keeper >= 0).sum() > members // 20


def test_rare_is_what_few_texts_of_a_component_hold():
    draws = np.random.default_rng(4)
    texts = [set(draws.integers(0, 30, 12).tolist()) for _ in range(40)]
    component = np.repeat([3, 9], 20)
    ngrams, bounds = flat(texts)
    rare = rare_ngrams(ngrams, bounds, component.astype(np.uint64))
    counts = {
        name: Counter(n for own, c in zip(texts, component, strict=True) if c == name for n in own) for name in (3, 9)
    }
    for (start, end), name in zip(bounds.tolist(), component.tolist(), strict=True):
        for place in range(start, end):
            assert rare[place] == (counts[name][int(ngrams[place])] < TEMPLATE_TEXTS)
    assert rare.any() and not rare.all()


def test_copies_of_a_text_count_once():
    """Ten documents of one text share its set."""
    ngrams, bounds = flat([{1, 2}, {1, 3}])
    shared = np.concatenate([np.repeat(bounds[:1], 10, axis=0), bounds[1:]])
    assert rare_ngrams(ngrams, shared, np.zeros(11, np.uint64)).all()


def pages(count: int, data: int) -> list[set[int]]:
    """Pages of one template: 200 runs of words in common, ``data`` of each one's own."""
    return [set(range(200)) | set(range(1000 * n + 1000, 1000 * n + 1000 + data)) for n in range(count)]


def removed_pages(sets: list[set[int]], templates: str) -> int:
    members = len(sets)
    signed = np.repeat(np.arange(20, dtype=np.uint32)[None], members, axis=0)
    hashes = np.stack([np.arange(members)] * 2, axis=1).astype(np.uint64)
    guard = guard_of(sets, {"templates": templates})
    decided = choose_keepers(
        np.arange(members), np.array([0, members]), signed, np.ones(members, np.int64), hashes, 0.8,
        np.zeros(members, bool), guard=guard,
    )  # fmt: skip
    return int((decided.keeper >= 0).sum())


def test_pages_of_a_template_stay_if_asked():
    sets = pages(TEMPLATE_TEXTS + 3, 8)
    assert removed_pages(sets, "remove") == len(sets) - 1
    assert removed_pages(sets, "keep") == 0


def test_edited_copies_that_few_others_resemble_are_no_template():
    """Of fewer than so many texts nothing is the template's: all of the text counts, and most of it is held."""
    assert removed_pages(pages(TEMPLATE_TEXTS - 1, 8), "keep") == TEMPLATE_TEXTS - 2


def test_a_page_with_something_added_is_no_other_page():
    """The longer one has data of its own, the shorter one has none: nothing of it would be lost."""
    sets = pages(1, 8) + pages(TEMPLATE_TEXTS, 0)
    assert removed_pages(sets, "keep") == TEMPLATE_TEXTS


def test_without_a_guard_nothing_is_refused_and_nothing_known():
    assert no_guard(3).sizes().tolist() == [0, 0, 0]
    decided = choose_keepers(
        np.arange(2), np.array([0, 2]), np.zeros((2, 8), np.uint32), np.ones(2, np.int64),
        np.arange(4, dtype=np.uint64).reshape(2, 2), 0.8, np.zeros(2, bool),
    )  # fmt: skip
    assert decided.keeper.tolist() == [-1, 0]
    assert decided.lost.tolist() == [UNKNOWN, UNKNOWN]
    assert decided.refused.tolist() == [-1, -1]
