"""Documents that no process survives working on: quarantined, with their reasons, in the run folder.

A stage that finds one names it here and ends its unit; the run then goes through its stages again, and the first of
them (the one that reads the inputs) leaves it out. So every later stage sees what it would see if the document had
never been readable, and no stage needs to know what another one cannot bear.
"""

import orjson

from winnow.errors import QuarantineError, StorageError
from winnow.storage.store import Store

FOLDER = "quarantine"


def add_to_quarantine(store: Store, found: dict[int, str], by: str = "") -> None:
    """Name documents (number: reason) for good.

    ``by`` names the work that cannot bear them, if another version of it may: then they are quarantined only as long as
    that version stands.
    """
    for doc, reason in found.items():
        named = {"doc": doc, "reason": reason} | ({"by": by} if by else {})
        store.create_exclusive(f"{FOLDER}/{_file_name(doc, by)}", orjson.dumps(named))


def quarantine(store: Store, found: dict[int, str]) -> None:
    """Name documents (number: reason) for good.

    Raises:
        QuarantineError: always, once they are named.
    """
    add_to_quarantine(store, found)
    raise QuarantineError(told(found))


def told(found: dict[int, str]) -> str:
    """How many documents, and why."""
    reasons = ", ".join(sorted(set(found.values())))
    return f"{len(found)} documents are quarantined ({reasons})"


def times_quarantined(store: Store) -> int:
    """How often a document was named in this run folder, by any version of any work."""
    return len(list(store.list(FOLDER, ".json")))


def quarantined_documents(store: Store, versions: frozenset[str] = frozenset()) -> dict[int, str]:
    """Documents that are quarantined in this run folder, and why, in document order.

    Args:
        store: the run folder.
        versions: of work that may stand in ``by``; what other versions could not bear is not quarantined.

    Raises:
        StorageError: a file of the folder is damaged.
    """
    found: dict[int, str] = {}
    for name in sorted(store.list(FOLDER, ".json")):
        try:
            named = orjson.loads(store.read(f"{FOLDER}/{name}"))
            doc, reason, by = named["doc"], named["reason"], named.get("by", "")
            if type(doc) is not int or type(reason) is not str or name != _file_name(doc, by):
                raise ValueError(f"it names document {doc!r:.40}")  # a flipped digit would leave out another one
            if not by or by in versions:
                found.setdefault(doc, reason)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StorageError(
                f"{FOLDER}/{name} in {store.root}: damaged ({error}); remove it, and the document is looked for again"
            ) from error
    return dict(sorted(found.items()))


def _file_name(doc: int, by: str) -> str:
    return f"{doc:020d}{'-' if by else ''}{by}.json"
