"""Documents that no process survives working on: quarantined, with their reasons, in the run folder.

A stage that finds one names it here and ends its unit; the run then goes through its stages again, and the first of
them (the one that reads the inputs) leaves it out. So every later stage sees what it would see if the document had
never been readable, and no stage needs to know what another one cannot bear.
"""

import orjson

from winnow.errors import QuarantineError, StorageError
from winnow.storage.store import Store

FOLDER = "quarantine"


def quarantine(store: Store, found: dict[int, str]) -> None:
    """Name documents (number: reason) for good.

    Raises:
        SetAsideError: always, once they are named.
    """
    for doc, reason in found.items():
        store.create_exclusive(f"{FOLDER}/{doc:020d}.json", orjson.dumps({"doc": doc, "reason": reason}))
    reasons = ", ".join(sorted(set(found.values())))
    raise QuarantineError(f"{len(found)} documents are quarantined ({reasons})")


def quarantined_documents(store: Store) -> dict[int, str]:
    """Documents that were quarantined in this run folder, and why, in document order.

    Raises:
        StorageError: a file of the folder is damaged.
    """
    found = {}
    for name in store.list(FOLDER, ".json"):
        try:
            named = orjson.loads(store.read(f"{FOLDER}/{name}"))
            doc, reason = named["doc"], named["reason"]
            if type(doc) is not int or type(reason) is not str or name != f"{doc:020d}.json":
                raise ValueError(f"it names document {doc!r:.40}")  # a flipped digit would leave out another one
            found[doc] = reason
        except (ValueError, KeyError, TypeError) as error:
            raise StorageError(
                f"{FOLDER}/{name} in {store.root}: damaged ({error}); remove it, and the document is looked for again"
            ) from error
    return dict(sorted(found.items()))
