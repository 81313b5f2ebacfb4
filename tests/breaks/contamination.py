"""Evaluation sets: what they find must leave, be told, and be computed again where a set has changed."""

from tests.breaks.change import Break

FIND = ("tests/text/contamination/test_find.py",)
SETS = ("tests/text/contamination/test_evaluation_sets.py",)
RUNS = ("tests/e2e/test_contamination.py",)
BREAKS = (
    Break(
        "documents that hold a question stay",
        1,
        "winnow.stages.decontaminate.decontaminate",
        "gone = number >= 0",
        "gone = number > 0",
        RUNS,
    ),
    Break(
        "evaluation items are looked for in a window without an end",
        5,
        "winnow.text.contamination.coverage",
        "window = _WIDER * length + _MORE",
        "window = _WIDER * length + _MORE * 1000",
        FIND,
    ),
    Break(
        "words of an item count as often as runs cover them",
        5,
        "winnow.text.contamination.coverage",
        "changed += (before == 0) if by > 0 else (before == 1)",
        "changed += 1",
        FIND,
    ),
    Break(
        "runs of five words go from one text into the next",
        2,
        "winnow.text.contamination.probe",
        "        have = 0\n        number = 0  # of the first word that is held",
        "        have = have if text else 0\n        number = 0",
        FIND,
    ),
    Break(
        "a place ends with the first word of its last run",
        5,
        "winnow.text.contamination.probe",
        "end[found] = ends[j + GRAM - 1] - first",
        "end[found] = ends[j] - first",
        FIND,
    ),
    Break(
        "short items need not be there in full",
        5,
        "winnow.text.contamination.item_index",
        "np.where(words < exact_below, words, np.maximum(least, 1))",
        "np.maximum(least, 1)",
        FIND,
    ),
    Break(
        "a line of an evaluation set that is no JSON is passed over",
        1,
        "winnow.text.contamination.evaluation_files",
        "        if text:\n            yield number, _object(",
        '        if text.endswith(b"}"):\n            yield number, _object(',
        SETS,
    ),
    Break(
        "another content of an evaluation set is the same work",
        4,
        "winnow.flow.decontaminate",
        '{"path": _place(digest, path), "hash": digest}',
        '{"path": _place(digest, path), "hash": path.name}',
        RUNS,
    ),
    Break(
        "why names the first item, whichever it was",
        5,
        "winnow.finished.explain",
        "about = items.slice(item, 1).to_pylist()[0]",
        "about = items.slice(0, 1).to_pylist()[0]",
        RUNS,
    ),
    Break(
        "spans end where the item does",
        5,
        "winnow.stages.decontaminate.spans",
        "_before(data, place.begin, characters)",
        "_before(data, place.begin, 0)",
        RUNS,
    ),
)
