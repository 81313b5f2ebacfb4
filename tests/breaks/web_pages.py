"""Pages and files from afar: what a page says of itself, and files that several workers read."""

from tests.breaks.change import Break

AFAR = ("tests/e2e/test_web_parts.py",)
DECLARED = ("tests/sources/web/test_declared.py",)
BREAKS = (
    Break(
        "a licence in a comment is the page's",
        1,
        "winnow.sources.web.tags",
        "            at = behind_comment(page, at + 3)",
        "            at += 3",
        DECLARED,
    ),
    Break(
        "a licence in a script is the page's",
        1,
        "winnow.sources.web.tags",
        "        if raw_place >= 0 and not (slash and inside):",
        "        if False:",
        DECLARED,
    ),
    Break(
        "a licence in a template is the page's",
        1,
        "winnow.sources.web.tags",
        "        if kind >= 0 and templates == 0:",
        "        if kind >= 0:",
        DECLARED,
    ),
    Break(
        "an address that holds that of a licence is one",
        1,
        "winnow.sources.web.declared",
        "                match = _CC.match(",
        "                match = _CC.search(",
        DECLARED,
    ),
    Break(
        "a page with several licences has the first of them",
        1,
        "winnow.sources.web.declared",
        'found.pop() if len(found) == 1 else "unclear"',
        "min(found)",
        DECLARED,
    ),
    Break(
        "links that are left out are not told",
        1,
        "winnow.sources.web.records",
        "*[LEFT_OUT] * left_out]\n",
        "]\n",
        DECLARED,
    ),
    Break(
        "links are those of the page's address, whatever its base says",
        1,
        "winnow.sources.web.declared",
        '        base = _joined(address or "", based) or address or ""',
        '        base = address or ""',
        DECLARED,
    ),
    Break(
        "a page hides from the guard behind an empty comment",
        6,
        "winnow.sources.web.tags",
        "    if at < size and page[at] == 62:  # <!-->",
        "    if False:",
        ("tests/sources/web/test_page.py",),
    ),
    Break(
        "what a silent server told before is forgotten, and its file read anew as a whole",
        4,
        "winnow.stages.ingest.afar",
        "        silent.add(host)\n        return known",
        "        silent.add(host)\n        return None",
        AFAR,
    ),
    Break(
        "another file under a name of a list is read in the parts of the one before",
        2,
        "winnow.stages.ingest.afar",
        "        if known and (known.bytes, known.etag) == (size, etag):",
        "        if known:",
        AFAR,
    ),
    Break(
        "parts of a listed file do not say which version they are of",
        2,
        "winnow.stages.ingest.slices",
        '        whole |= record.metadata.get("of", {})',
        "        pass",
        AFAR,
    ),
    Break(
        "a file that no server cuts is fetched to be counted",
        6,
        "winnow.stages.ingest.slices",
        '        if told["whole"]:',
        "        if False:",
        AFAR,
    ),
)
