"""Removal requests: what is asked for leaves, is proven, never comes back, and nothing else changes."""

from tests.breaks.change import Break

FILE = "tests/e2e/test_forget.py"
LEAVE = (f"{FILE}::test_a_document_and_its_copy_leave",)
NEAR = (f"{FILE}::test_no_copy_comes_in_for_it_and_near_ones_go_when_asked",)
NIGHTS = (f"{FILE}::test_later_nights_never_take_it",)
REFUSED = (f"{FILE}::test_refusals",)
DRY = (f"{FILE}::test_a_dry_run_writes_nothing",)
STAND = (f"{FILE}::test_words_that_stand_there_are_found",)
LISTS = ("tests/stages/test_removal_lists.py",)
FORGET = "winnow.finished.forget.forget"
SEARCH = "winnow.finished.forget.search"
LEDGER = "winnow.stages.removals.removals"
LISTED = "winnow.stages.removals.lists"
STANDING = "winnow.stages.removals.standing"
BREAKS = (
    Break(
        "copies are listed by their texts alone, which other settings write another way",
        5,
        SEARCH,
        "own = [not _is_derived(doc, *names[doc])",
        "own = [self.why[doc] in NAMED and not _is_derived(doc, *names[doc])",
        LEAVE,
    ),
    Break(
        "a corpus goes on naming the set with what was removed, once a command is killed",
        4,
        FORGET,
        "        if (note := relist(store)) is not None:",
        "        if number in unproven(store) and (note := relist(store)) is not None:",
        (f"{FILE}::test_a_corpus_lists_the_new_set_of_a_command_that_was_killed_behind_its_proof",),
    ),
    Break(
        "clean text is given away while a removal request is under way",
        1,
        "winnow.runs.documents",
        "        refuse_unproven(finished.store)\n",
        "",
        (f"{FILE}::test_nothing_is_given_away_while_a_request_is_under_way",),
    ),
    Break(
        "a corpus asks for what goes from another of its sets anyway",
        4,
        "winnow.finished.forget.corpus",
        'if (_name_of(other["run"]), other["id"]) not in given',
        'if (other["run"], other["id"]) not in given',
        (f"{FILE}::test_a_corpus_does_not_ask_for_what_goes_from_another_of_its_sets",),
    ),
    Break(
        "removed documents keep their copies", 1, LEDGER, "np.where(gone, 0, copies), source", "copies, source", LEAVE
    ),
    Break(
        "texts on a list are let through",
        5,
        LEDGER,
        'rule[among(np.stack([high, low], axis=1), texts)] = RULES.index("removal.text")',
        "pass",
        NIGHTS,
    ),
    Break("ids on a list are let through", 5, LEDGER, "    if len(ids):\n", "    if len(ids) < 0:\n", NIGHTS),
    Break(
        "addresses are looked for in ids alone",
        5,
        LEDGER,
        'for name in ("id", field)',
        'for name in ("id",)',
        NIGHTS,
    ),
    Break(
        "half of a key is enough",
        5,
        LISTED,
        "found[row] = tuple(keys[row].tolist()) in known",
        "found[row] = len(known) > 0",
        LISTS,
    ),
    Break(
        "a host is the beginning of others",
        5,
        LISTED,
        'r"(?:[/?#]|$)"',
        'r""',
        LISTS,
    ),
    Break(
        "ids of several sources are one",
        5,
        LISTED,
        'pa.scalar("\\0", pa.large_string())',
        'pa.scalar("", pa.large_string())',
        LISTS,
    ),
    Break(
        "exact copies are not found",
        5,
        SEARCH,
        "        self._add_copies()\n        self._add_synthetic()\n        found = Found()",
        "        self._add_synthetic()\n        found = Found()",
        LEAVE,
    ),
    Break("near-duplicates go unasked", 5, SEARCH, "        if self.request.near:\n", "        if True:\n", NEAR),
    Break(
        "the keeper of what goes is not told of",
        5,
        SEARCH,
        "keepers = np.unique(np.concatenate([mine, kept_for[kept_for != schemas.NO_DOC]]))",
        "keepers = mine",
        NEAR,
    ),
    Break("a request for everything is carried out", 1, FORGET, "if found.kept_left == 0 and", "if False and", REFUSED),
    Break("a dry run writes", 5, FORGET, "    if dry_run:\n", "    if False:\n", DRY),
    Break("the old set goes unasked", 4, FORGET, "        if delete_old:\n", "        if True:\n", LEAVE),
    Break("the index is not told", 5, FORGET, "if not index.store.exists(name):", "if False:", NIGHTS),
    Break(
        "words of removed documents that stand there are passed over",
        5,
        "winnow.finished.forget.check",
        "if len(holders.held) == 0 or (holders.held[at] != passage.grams).any():",
        "if False:",
        STAND,
    ),
    Break(
        "runs over the border of a block are cut",
        5,
        STANDING,
        "at + _BLOCK + GRAM - 1]",
        "at + _BLOCK]",
        ("tests/stages/test_standing.py",),
    ),
    Break(
        "runs that go on in the next row group are cut",
        5,
        STANDING,
        "held, at = ids[begin:].copy(), at + begin",
        "held, at = ids[len(ids) :].copy(), at + len(ids)",
        ("tests/stages/test_standing.py",),
    ),
)
