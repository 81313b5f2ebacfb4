"""Rules on where documents come from and line rules: who is blocked, by what, and that all of it is told."""

from tests.breaks.change import Break

URLS = ("tests/text/test_urls.py",)
RUNS = ("tests/e2e/test_provenance.py",)
LINES = ("tests/text/test_line_rules.py",)
LINE_RUNS = ("tests/e2e/test_line_rules.py",)
BREAKS = (
    Break(
        "a listed host does not stand for what is below it",
        5,
        "winnow.text.urls.match",
        "        if i == 0 or host[i - 1] == DOT:",
        "        if i == 0:",
        URLS,
    ),
    Break(
        "a listed host stands for every host that ends so",
        1,
        "winnow.text.urls.match",
        "        if i == 0 or host[i - 1] == DOT:",
        "        if True:",
        URLS,
    ),
    Break(
        "an entry is found by its hash and size alone",
        1,
        "winnow.text.urls.table",
        "            if k == size:",
        "            if k >= 0:",
        URLS,
    ),
    Break(
        "a port belongs to the host",
        5,
        "winnow.text.urls.parts",
        "        while last < rest and data[last] != COLON:",
        "        while last < rest:",
        URLS,
    ),
    Break(
        "a list of another kind is used as far as it goes",
        1,
        "winnow.text.urls.lists",
        "    if odd > _MOST_ODD * (entries + odd):",
        "    if False:",
        URLS,
    ),
    Break(
        "what lists name goes on",
        5,
        "winnow.stages.filter",
        "published)), mine, Failures(",
        "published)), Failures(",
        RUNS,
    ),
    Break(
        "why shows another document's entry",
        5,
        "winnow.finished.explain",
        'Evidence(row["rule"], row["list"], row["entry"]) for row in _rows(matches, doc)',
        'Evidence(row["rule"], row["list"], row["entry"]) for row in _rows(matches, doc + 1)',
        RUNS,
    ),
    Break(
        "documents without an address are not counted",
        1,
        "winnow.stages.provenance.provenance",
        "about & ~found.has_host",
        "about & found.has_host & ~found.has_host",
        RUNS,
    ),
    Break(
        "opt-outs that nobody keeps are not told",
        1,
        "winnow.sources.web.records",
        '    notes = [note, read_as, *_opt_out_notes(said["opt_out"])',
        "    notes = [note, read_as",
        RUNS,
    ),
    Break(
        "a page with several licences has one that is allowed",
        1,
        "winnow.text.urls.licences",
        "        return _UNCLEAR",
        "        return _ALLOWED",
        RUNS,
    ),
    Break(
        "two links are a menu",
        1,
        "winnow.text.line_rules.clean",
        "                if run >= settings[_MIN_RUN]:",
        "                if run >= 2:",
        LINES,
    ),
    Break(
        "lines on cookies and privacy stay",
        5,
        "winnow.text.line_rules.judge",
        "    return POLICY_LINE if policy and found[POLICY] else KEPT",
        "    return KEPT",
        LINES,
    ),
    Break(
        "lines that rules took are not counted",
        1,
        "winnow.stages.ingest.line_rules",
        '                counts[f"{kind}/{rule}"] = numbers.sum()',
        '                counts[f"{kind}/{rule}"] = 0',
        LINE_RUNS,
    ),
    Break(
        "line rules are followed in sources that are not named",
        1,
        "winnow.text.line_rules.config",
        "        return self.sources is None or source in self.sources",
        "        return True",
        LINE_RUNS,
    ),
)
