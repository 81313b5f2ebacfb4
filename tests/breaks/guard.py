"""Sentence 3, Verified: what a removal keeps. No near-duplicate goes for a document that does not say what it said."""

from tests.breaks.change import Break

BREAKS = (
    Break(
        "translations go for each other",
        3,
        "winnow.dedup.guard",
        "return _SCRIPT, lost",
        "return 0, lost",
        ("tests/dedup/test_guard.py",),
    ),
    Break(
        "a language that is not sure counts as another",
        3,
        "winnow.dedup.guard",
        "return bool((one != 0) & (other != 0) & (one != other))",
        "return bool(one != other)",
        ("tests/dedup/test_guard.py",),
    ),
    Break(
        "containment is of the keeper's text",
        3,
        "winnow.dedup.guard",
        "lost = lost_ngrams(guard.ngrams, start, end, guard.bounds[keeper, 0], guard.bounds[keeper, 1])",
        "lost = lost_ngrams(guard.ngrams, guard.bounds[keeper, 0], guard.bounds[keeper, 1], start, end)",
        ("tests/dedup/test_guard.py",),
    ),
    Break(
        "a shorter document stays for a longer one",
        3,
        "winnow.dedup.guard",
        "lost > 0 and guard.characters[keeper] < guard.characters[member]:",
        "lost > 0 and guard.characters[keeper] > 2 * guard.characters[member]:",
        ("tests/dedup/test_guard.py",),
    ),
    Break(
        "the ledger tells the similarity where containment belongs",
        3,
        "winnow.stages.decide.part_decisions",
        'containment[row[known]] = 1.0 - members["lost"][known] / runs',
        'containment[row[known]] = members["similarity"][known]',
        ("tests/e2e/test_guard.py::test_each_document_stays_for_its_reason",),
    ),
    Break(
        "keepers of earlier nights are not asked",
        3,
        "winnow.stages.dedup.index_lookup",
        "there = ~_lacks_contents(entries, docs[rows])",
        "there = _lacks_contents(entries, docs[rows])",
        ("tests/e2e/test_guard.py::test_keepers_of_earlier_nights_are_asked_too",),
    ),
    Break(
        "removals that no guard saw are not told",
        3,
        "winnow.flow.guard",
        'if losses["not_checked"]:',
        'if losses["not_checked"] < 0:',
        ("tests/e2e/test_guard.py::test_an_index_that_lacks_what_the_guard_asks_is_told_and_counted",),
    ),
    Break(
        "the audit takes the ledger's word for what was lost",
        3,
        "winnow.audit.contents",
        "if len(one.ngrams) - held != lost:",
        "if lost < 0:",
        ("tests/e2e/test_guard.py::test_audit_and_verify_see_a_ledger_that_is_wrong",),
    ),
)
