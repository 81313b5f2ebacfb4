"""Sentences 1, 2 and 4: what comes from web servers, by lists, and of archives in parts."""

from tests.breaks.change import Break

HTTP = ("tests/storage/test_http_files.py",)
LISTS = ("tests/sources/test_path_lists.py",)
PARTS = ("tests/sources/web/test_parts.py",)
RUNS = ("tests/e2e/test_web_lists.py",)
BREAKS = (
    Break(
        "pieces of two versions of a file on the web make one",
        1,
        "winnow.storage.http_files",
        "        if known[0] != version[0] or",
        "        if False and",
        HTTP,
    ),
    Break(
        "an answer that broke off passes for the whole range",
        1,
        "winnow.storage.http_files",
        "                if len(data) < wanted:\n",
        "                if False:\n",
        ("tests/storage/test_http_files.py::test_a_short_answer_is_asked_for_again",),
    ),
    Break(
        "a server that knows no ranges gives its first bytes for any",
        1,
        "winnow.storage.http_files",
        "            if start == 0 and (end is None or",
        "            if True or (end is None or",
        HTTP,
    ),
    Break(
        "a server may be asked by any number of processes at a time",
        4,
        "winnow.storage.http_files",
        "self._config.requests_per_host):",
        "64):",
        HTTP,
    ),
    Break(
        "Retry-After is not honoured",
        4,
        "winnow.storage.object_files",
        '        seconds = max(seconds, getattr(error, "retry_after", 0.0))\n',
        "",
        HTTP,
    ),
    Break(
        "a list from afar leads out of its place",
        1,
        "winnow.sources.path_lists",
        '            if ".." in entry.split("/"):',
        "            if False:",
        LISTS,
    ),
    Break(
        "a sample of the files is another one with each list",
        2,
        "winnow.sources.wanted",
        "        paths = [path for path in paths if xxhash.xxh3_64_intdigest(path.encode()) < below]",
        "        paths = paths[:: round(1 / wanted.sample_files)]",
        LISTS,
    ),
    Break(
        "other records of an archive pass for the same file",
        4,
        "winnow.sources.catalogue",
        "return InputState(self.bytes, self.modified_ns, self.etag, self.ranges)",
        "return InputState(self.bytes, self.modified_ns, self.etag)",
        LISTS,
    ),
    Break(
        "dead entries of a list count for nothing",
        1,
        "winnow.flow.unreadable",
        '(unread, size, "input bytes"), (dead, named, "files of lists"))',
        '(unread, size, "input bytes"))',
        RUNS,
    ),
    Break(
        "what failed for a passing reason on the web is never tried again",
        4,
        "winnow.sources.stored_file",
        'return FileFaultError(f"failed to read: {error.said}", position)',
        'return FileFaultError(f"refused: {error.said}", position)',
        RUNS,
    ),
    Break(
        "a range that holds more than a record passes for one",
        1,
        "winnow.sources.web.parts",
        "    if len(found) != 1:",
        "    if not found:",
        RUNS,
    ),
    Break(
        "an archive is cut behind a fault",
        2,
        "winnow.sources.web.parts",
        "            if whole and record.apart and",
        "            if record.apart and",
        PARTS,
    ),
    Break(
        "an archive is cut in the middle of a member",
        2,
        "winnow.sources.web.parts",
        "            if whole and record.apart and",
        "            if whole and",
        PARTS,
    ),
    Break(
        "a part ends where the next begins, whatever its last record looks at",
        2,
        "winnow.sources.web.parts",
        "        if part.stop is not None and record.position >= part.stop:",
        "        if part.stop is not None and record.position > part.stop:",
        PARTS,
    ),
)
