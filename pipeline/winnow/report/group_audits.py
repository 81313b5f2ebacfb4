"""What audits of groups found in a run, one after the other, so that its report tells what was done about it."""

import orjson

from winnow.engine.records import Json, content_hash
from winnow.errors import ConfigError
from winnow.flow.records import RunRecords

PATH = "audit/groups.json"
FORMAT = "winnow-group-audits-1"
KEPT = 20
"""Audits that are kept, the latest ones."""


def state_of(run: RunRecords) -> str:
    """A name for what a run decided: equal where every document has the outcome that it had."""
    return content_hash([record.outputs["decisions"].hash for record in run.ledger], 16)


def read_audits(run: RunRecords) -> list[Json]:
    """Audits of the run folder, the oldest first.

    Raises:
        ConfigError: the file is damaged.
    """
    if not run.store.exists(PATH):
        return []
    try:
        found = orjson.loads(run.store.read(PATH))
        audits: list[Json] = found["audits"]
        if found["format"] != FORMAT or not all({"state", "disparate", "note"} <= set(audit) for audit in audits):
            raise ValueError("it is of another format")
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{run.store.location(PATH)}: cannot be read as audits of groups ({error}); remove it, and run "
            "`winnow audit groups` again"
        ) from error
    return audits


def add_audit(run: RunRecords, audit: Json) -> None:
    """Put one behind the others; it takes the place of one of the same state, list and ratio, whose note it keeps
    where it has none."""
    same = ("state", "terms", "ratio")
    others = []
    for known in read_audits(run):
        if all(known.get(name) == audit[name] for name in same):
            audit = {**audit, "note": audit["note"] or known["note"]}
        else:
            others.append(known)
    content = {"format": FORMAT, "audits": [*others, audit][-KEPT:]}
    run.store.replace(PATH, orjson.dumps(content, option=orjson.OPT_INDENT_2))
