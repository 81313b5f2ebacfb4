"""Repeated passages: what is cut stood before, all of it and nothing else, and is told."""

from tests.breaks.change import Break

KERNELS = ("tests/text/passages/test_repeats.py",)
RUNS = ("tests/e2e/test_passages.py",)
BREAKS = (
    Break(
        "anchors are looked for in one gram too few",
        1,
        "winnow.text.passages.windows",
        "            if first >= 0 and place != told:\n                told = place\n                found[number]",
        "            if first > 0 and place != told:\n                told = place\n                found[number]",
        KERNELS,
    ),
    Break(
        "a window's copy is the last one before it, not the first",
        1,
        "winnow.text.passages.repeats",
        "first[np.int64(places[index])] = np.int64(places[head])",
        "first[np.int64(places[index])] = np.int64(places[index - 1])",
        KERNELS,
    ),
    Break(
        "a passage's copy in the same part ends what is known of its first copy",
        5,
        "winnow.text.passages.repeats",
        "    moved = _follow(here, known)\n",
        "    moved = here\n",
        KERNELS,
    ),
    Break(
        "anchors of two parts are none of several",
        1,
        "winnow.text.passages.shared",
        "    several = keys[1:][keys[1:] == keys[:-1]]",
        "    several = keys[2:][keys[2:] == keys[:-2]]",
        KERNELS,
    ),
    Break(
        "runs go on where the copy does not",
        5,
        "winnow.text.passages.repeats",
        "            if going and copied == last[number - 1] + 1 and run_of[copied] == run_of[copied - 1]:",
        "            if going:",
        KERNELS,
    ),
    Break(
        "a cut ends a word too soon",
        1,
        "winnow.text.passages.repeats",
        "    end = begin + repeats.windows.astype(np.int64) - 1 + length\n    if len(begin) == 0:",
        "    end = begin + repeats.windows.astype(np.int64) - 2 + length\n    if len(begin) == 0:",
        KERNELS,
    ),
    Break(
        "quotes and full stops stay behind when their words are cut",
        1,
        "winnow.text.passages.stretches",
        "        if at - last > MOST_CLINGING:",
        "        if at - last > 0:",
        RUNS,
    ),
    Break(
        "documents are left out only where no word is left",
        1,
        "winnow.stages.passages.spans",
        "gone = left < least",
        "gone = left < 1",
        RUNS,
    ),
    Break(
        "program text is cut, too",
        1,
        "winnow.stages.passages.searched",
        "        mine = mine & ~full\n",
        "",
        RUNS,
    ),
    Break(
        "edits of passages do not reach what leaves",
        1,
        "winnow.flow.records",
        'EDITING = ("contamination_spans", "redact_spans", "passage_spans")',
        'EDITING = ("contamination_spans", "redact_spans")',
        RUNS,
    ),
    Break(
        "the document that is named has least of what was cut",
        5,
        "winnow.stages.passages.spans",
        "        best = np.lexsort((named, -windows, owner))",
        "        best = np.lexsort((named, windows, owner))",
        RUNS,
    ),
    Break(
        "the most repeated passages are counted once a part",
        5,
        "winnow.looking.passages",
        "    copies, cut = np.add.reduceat(rows.copies, begins), np.add.reduceat(rows.cut, begins)",
        "    copies, cut = rows.copies[begins], np.add.reduceat(rows.cut, begins)",
        RUNS,
    ),
)
