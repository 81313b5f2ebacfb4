"""Several shard sets as one stream, and what readers and newcomers are shown."""

from tests.breaks.change import Break

SEVERAL = ("tests/shards/dataset/test_several_sets.py",)
STARTER = ("tests/config/test_starter.py",)

BREAKS = (
    Break(
        "sets are read one after the other",
        2,
        "winnow.shards.dataset.stream",
        "len(self.reader.parts) > 1:\n            return SetOrder",
        "len(self.reader.parts) > 99:\n            return SetOrder",
        SEVERAL,
    ),
    Break(
        "rows of a set stand at the end of their part of the epoch",
        2,
        "winnow.shards.dataset.set_order",
        "(numbers - self._set_starts[which] + 0.5)",
        "(numbers - self._set_starts[which] + 1.0)",
        SEVERAL,
    ),
    Break(
        "of equal times the later set is first",
        2,
        "winnow.shards.dataset.set_order",
        'numbers[np.argsort(times, kind="stable")]',
        "numbers[np.lexsort((-which, times))]",
        SEVERAL,
    ),
    Break(
        "shards of all sets are looked for in the first one's folder",
        2,
        "winnow.shards.dataset.split_reader",
        "self.shards[number], self.parts[self._part_of[number]]",
        "self.shards[number], self.parts[0]",
        SEVERAL,
    ),
    Break(
        "the loss mask of the first row's set is that of all",
        2,
        "winnow.shards.dataset.split_reader",
        "        if len(sets) == 1:\n",
        "        if len(sets) >= 1 and LOSS_MASK not in self.shard(int(shards[0])).names:\n",
        SEVERAL,
    ),
    Break(
        "a copy of a dataset looks again which nights are out",
        4,
        "winnow.shards.dataset.stream",
        "replace(self, location=tuple(part.place for part in reader.parts), until=None)",
        "replace(self)",
        SEVERAL,
    ),
    Break(
        "the manifest of a night need not be the listed one",
        2,
        "winnow.shards.dataset.several_sets",
        "if found != place.sha256:",
        "if found == '':",
        SEVERAL,
    ),
    Break(
        "rows of another vocabulary are mixed in",
        2,
        "winnow.shards.dataset.several_sets",
        "one.vocabulary != two.vocabulary:",
        "one.vocabulary < '':",
        SEVERAL,
    ),
    Break(
        "a set that is named twice is read twice",
        2,
        "winnow.shards.dataset.several_sets",
        "if part.split.identity in names:",
        "if part.place.location in names:",
        SEVERAL,
    ),
    Break(
        "a section with nothing in it is off",
        5,
        "winnow.config.written",
        "return section is not None and value is NOTHING",
        "return False",
        STARTER,
    ),
    Break(
        "a section of nothing but names of sections is on",
        5,
        "winnow.config.written",
        "return bool(value) and all(",
        "return not value and all(",
        STARTER,
    ),
    Break(
        "a setting of the starter config stands one level too deep",
        5,
        "winnow.config.starter",
        'yield from _settings(inner, indent + "  ")',
        'yield from _settings(inner, indent)',
        STARTER,
    ),
    Break(
        "the order of several sets is named by the first",
        4,
        "winnow.shards.dataset.split_reader",
        "return names[0] if len(names) == 1 else",
        "return names[0] if len(names) >= 1 else",
        SEVERAL,
    ),
)
