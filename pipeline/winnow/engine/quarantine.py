"""Documents that no process survives working on: quarantined, with their reasons, in the run folder.

A stage that finds one names it here and ends its unit; the run then goes through its stages again, and the first of
them (the one that reads the inputs) leaves it out. So every later stage sees what it would see if the document had
never been readable, and no stage needs to know what another one cannot bear.

A document is quarantined for what it was met with: the machine, the versions, the models (``Engine.surroundings``), or
one version of an operator. Where these are others, it is tried again.
"""

from collections.abc import Callable

import orjson

from winnow.engine.records import Json, content_hash
from winnow.errors import QuarantineError, StorageError
from winnow.storage.store import Store

FOLDER = "quarantine"


def met_by(surroundings: Json) -> str:
    """What stands in ``by`` for these surroundings."""
    return content_hash(surroundings, 16)


def add_to_quarantine(store: Store, found: dict[int, str], by: str) -> None:
    """Name documents (number: reason), for as long as what cannot bear them is ``by``: a hash of it."""
    for doc, reason in found.items():
        named = {"doc": doc, "reason": reason, "by": by}
        store.create_exclusive(f"{FOLDER}/{_file_name(doc, by)}", orjson.dumps(named))


def quarantine(store: Store, found: dict[int, str], surroundings: Json) -> None:
    """Name documents (number: reason), for as long as the surroundings stay what they are.

    Raises:
        QuarantineError: always, once they are named.
    """
    add_to_quarantine(store, found, met_by(surroundings))
    raise QuarantineError(told(found))


def told(found: dict[int, str]) -> str:
    """How many documents, and why."""
    reasons = ", ".join(sorted(set(found.values())))
    return f"{len(found)} documents are quarantined ({reasons})"


def times_quarantined(store: Store) -> int:
    """How often a document was named in this run folder."""
    return len(list(store.list(FOLDER, ".json")))


def quarantined_documents(store: Store, met: frozenset[str]) -> dict[int, str]:
    """Documents that are quarantined in this run folder, and why, in document order.

    Args:
        store: the run folder.
        met: what may stand in ``by`` now; what was met with anything else is not quarantined.

    Raises:
        StorageError: a file of the folder is damaged.
    """
    found: dict[int, str] = {}
    for doc, reason, by in entries(store):
        if by in met:
            found.setdefault(doc, reason)
    return dict(sorted(found.items()))


def release(store: Store, which: Callable[[int, str], bool]) -> dict[int, str]:
    """Take documents out of quarantine, so that the next run tries them again. Only while holding the lease.

    Args:
        store: the run folder.
        which: whether to release a document, by its number and what it was met with.

    Returns:
        The documents that were named, and why.

    Raises:
        StorageError: a file of the folder is damaged, or cannot be removed.
    """
    released: dict[int, str] = {}
    for doc, reason, by in entries(store):
        if which(doc, by):
            store.remove(f"{FOLDER}/{_file_name(doc, by)}")
            released.setdefault(doc, reason)
    return dict(sorted(released.items()))


def entries(store: Store) -> list[tuple[int, str, str]]:
    """Every document that was named, why, and what it was met with; of all times.

    Raises:
        StorageError: a file of the folder is damaged.
    """
    found = []
    for name in sorted(store.list(FOLDER, ".json")):
        try:
            named = orjson.loads(store.read(f"{FOLDER}/{name}"))
            doc, reason, by = named["doc"], named["reason"], named.get("by", "")
            if type(doc) is not int or type(reason) is not str or name != _file_name(doc, by):
                raise ValueError(f"it names document {doc!r:.40}")  # a flipped digit would leave out another one
            found.append((doc, reason, by))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StorageError(
                f"{FOLDER}/{name} in {store.root}: damaged ({error}); remove it, and the document is looked for again"
            ) from error
    return found


def _file_name(doc: int, by: str) -> str:
    return f"{doc:020d}{'-' if by else ''}{by}.json"
