"""Data sets of a hub: the commit that was settled, the token's ways, and pushes that are whole or not there."""

from tests.breaks.change import Break

FILES = "tests/storage/test_hub.py"
RUNS = "tests/e2e/test_hub.py"
PUSH = "tests/finished/test_push.py"
BREAKS = (
    Break(
        "a range of a hub that is cut short is taken for whole",
        1,
        "winnow.storage.hub_files",
        "            if len(data) != expected:",
        "            if len(data) > expected:",
        (FILES,),
    ),
    Break(
        "of files with equal content in a hub's cache one is passed over",
        1,
        "winnow.sources.identity",
        "        if _SNAPSHOT.search(own):",
        "        if False:",
        (f"{RUNS}::test_a_snapshot_gives_the_shards_of_the_hub",),
    ),
    Break(
        "an unfinished run follows its branch",
        2,
        "winnow.config.hub_revisions",
        "    return hub.hub_revision(address.at(str(before)).name)",
        "    return now",
        (f"{RUNS}::test_an_unfinished_run_goes_on_with_its_commit",),
    ),
    Break(
        "sources name the branch and not the commit",
        2,
        "winnow.config.hub_revisions",
        "    return address.at(found[address.name].commit).url",
        "    return path",
        (f"{RUNS}::test_an_unfinished_run_goes_on_with_its_commit",),
    ),
    Break(
        "all files of a hub that has moved are read anew",
        4,
        "winnow.sources.catalogue",
        "        return same or self._moved.pop((source, lasting_name(path), state), None)",
        "        return same",
        (f"{RUNS}::test_an_unfinished_run_goes_on_with_its_commit",),
    ),
    Break(
        "a corpus takes every file of a new commit",
        1,
        "winnow.sources.identity",
        "    return without_commit(real_input(path))",
        "    return real_input(path)",
        (f"{RUNS}::test_a_new_commit_adds_to_a_corpus_only_what_is_new",),
    ),
    Break(
        "the token that `hf auth login` saved is sent",
        7,
        "winnow.storage.hub_files",
        "build_hf_headers(token=token() or False, ",
        "build_hf_headers(token=token() or None, ",
        (FILES,),
    ),
    Break(
        "a listing leads the token to another server",
        7,
        "winnow.storage.hub_files",
        "            if following and _origin(following) != _origin(self._endpoint):",
        "            if False:",
        (FILES,),
    ),
    Break(
        "the card of a pushed set goes with the other files",
        1,
        "winnow.finished.push",
        "        if batch and (full or file.path == README):",
        "        if batch and full:",
        (f"{PUSH}::test_a_run_is_pushed_as_a_whole",),
    ),
    Break(
        "shards are pushed without a look at their checksums",
        1,
        "winnow.finished.push",
        "    check_files(run.store, files)\n",
        "",
        (f"{PUSH}::test_a_run_that_is_not_whole_is_refused",),
    ),
    Break(
        "what others keep in a data set is overwritten",
        1,
        "winnow.finished.push",
        "    if difference.foreign and not replace:\n        raise",
        "    if difference.foreign and dry_run:\n        raise",
        (f"{PUSH}::test_what_others_wrote_is_not_touched",),
    ),
    Break(
        "two that push at a time do not notice each other",
        1,
        "winnow.finished.push",
        "                parent_commit=head or None,\n",
        "",
        (f"{PUSH}::test_somebody_who_pushes_at_the_same_time_is_noticed",),
    ),
    Break(
        "a licence's marks mean something in the card",
        1,
        "winnow.report.markdown",
        '    return _MARKS.sub(r"\\\\\\1", plain.replace("&", "&amp;"))',
        "    return plain",
        (f"{PUSH}::test_what_the_config_says_is_text_in_the_card",),
    ),
)
