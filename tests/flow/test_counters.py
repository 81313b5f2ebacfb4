"""No counter without a reader: what a stage counts reaches a summary, a manifest, a check or a question."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
READERS = ("flow", "report", "finished", "audit", "index", "runs")
WORK_ONLY = {
    # how much there was to do: alters and leaves out nothing; in metrics and records
    *("edges", "keys", "links", "payload_bytes", "shingles", "visits", "words", "entries", "labels", "pieces"),
    *("candidates", "members", "corpus_features", "target_features", "different_lines"),
    *("sent", "sent_runs", "repeated_windows"),
    # how kernels came to their result, which does not depend on it
    *("normalise_identical_bytes", "normalise_substituted_bytes", "fitted_documents", "rounds", "repaired"),
    # told in tokens
    "taken_documents",
}


def counted() -> dict[str, set[Path]]:
    names: dict[str, set[Path]] = {}
    for path in (ROOT / "pipeline/winnow/stages").rglob("*.py"):
        for found in re.finditer(r'\.count\(\s*f?"([^"{]+)', path.read_text()):
            names.setdefault(found[1].rstrip("/"), set()).add(path)
    return names


def test_every_counter_is_read_where_people_are_told():
    told = "".join(path.read_text() for name in READERS for path in (ROOT / "pipeline/winnow" / name).rglob("*.py"))
    names = counted()
    assert len(names) > 40
    unread = {name for name in names if not re.search(rf"""["']{re.escape(name)}["'/{{]""", told)}
    assert unread <= WORK_ONLY, sorted(unread - WORK_ONLY)
