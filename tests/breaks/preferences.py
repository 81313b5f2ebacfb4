"""Preference pairs and the examples: rows that trl would make otherwise, splits that share a prompt, pairs lost."""

from tests.breaks.change import Break

READ = ("tests/sources/test_preferences.py",)
PAIRS = ("tests/e2e/test_preferences.py",)
BREAKS = (
    Break(
        "pairs with equal answers are read",
        1,
        "winnow.sources.structured.preferences",
        "    if chosen == rejected:",
        "    if chosen is rejected:",
        READ,
    ),
    Break(
        "what both answers begin with is part of them",
        3,
        "winnow.sources.structured.preferences",
        "    answers = chosen[shared:], rejected[shared:]",
        "    answers = chosen, rejected",
        READ,
    ),
    Break(
        "pairs of one prompt need not be in one split",
        3,
        "winnow.stages.dedup.bands",
        '        keys = np.concatenate([keys, _prompt_keys(workspace, unit.inputs["prompts"], passed)])',
        "        keys = np.concatenate([keys, docs])",
        PAIRS,
    ),
    Break(
        "a pair that lost its ids has a row",
        1,
        "winnow.shards.packing.windows",
        "    document = np.flatnonzero(tokens > 1)",
        "    document = np.flatnonzero(tokens > 0)",
        PAIRS,
    ),
    Break(
        "answers that the row cuts alike are a pair",
        1,
        "winnow.tokens.preferences",
        "    if np.array_equal(kept[0], kept[1]):",
        "    if np.array_equal(answers[0], answers[1]):",
        PAIRS,
    ),
    Break(
        "the end of the document counts to the rejected answer",
        3,
        "winnow.shards.preferences",
        "    borders[:, -1] -= 1",
        "    borders[:, -1] -= 0",
        PAIRS,
    ),
    Break(
        "nobody is told that the assistant says nothing",
        1,
        "winnow.tokens.structured",
        "            unanswered += row not in refused and not answered and not marks.any()",
        "            unanswered += 0",
        ("tests/e2e/test_chat_reports.py",),
    ),
)
