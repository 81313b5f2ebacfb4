"""A removal request to a corpus that grows: to each of its shard sets that holds something of it."""

from typing import Any

from winnow.engine.records import Json
from winnow.errors import AddressError, ConfigError
from winnow.finished.forget.forget import Forgotten, forget
from winnow.finished.forget.request import Request
from winnow.finished.forget.search import search
from winnow.runs.folder import SETS, STATE, shard_sets
from winnow.runs.state import load_run
from winnow.storage.address import settled_path
from winnow.storage.open_store import open_store


def forget_in(
    folder: str, request: Request, *, all_documents: bool = False, **options: Any
) -> list[tuple[str, Forgotten]]:
    """:func:`winnow.finished.forget.forget.forget` in a run folder, or in the sets of a corpus that hold what is meant.

    Returns:
        By run folder, what came of it.

    Raises:
        ConfigError: nothing fits in any of them, or all that they hold; and whatever a request to a run raises.
    """
    sets = _sets_of(folder)
    if not sets:
        return [(folder, forget(folder, request, all_documents=all_documents, **options))]
    found = {name: search(load_run(name), request) for name in sets}
    holding = [name for name, looked in found.items() if looked.documents]
    if not holding:
        raise ConfigError(f"{folder}: no document of its {len(sets):,} shard sets fits the request; nothing was done")
    if not any(looked.kept_left for looked in found.values()) and not all_documents:
        raise ConfigError(
            f"{folder}: the request fits all documents of its {len(sets):,} shard sets; nothing was done. If that is "
            "meant, give --all-documents"
        )
    done = [(name, forget(name, request, all_documents=True, **options)) for name in holding]
    unknown = set.intersection(*(set(looked.unknown_ids) for looked in found.values()))
    going = {name: {document.id for document in found[name].documents} for name in holding}
    for _, told in done:
        told.unknown_ids = tuple(name for name in told.unknown_ids if name in unknown)
        if told.found is not None:
            told.found.elsewhere = still_elsewhere(told.found.elsewhere, going)
    return done


def still_elsewhere(elsewhere: tuple[Json, ...], going: dict[str, set[str]]) -> tuple[Json, ...]:
    """Documents of other sets that need to be asked for: those that do not go from theirs anyway.

    Args:
        elsewhere: id and run folder, as it was called then.
        going: ids that go, by run folder, as it is called now.
    """
    given = {(_name_of(folder), name) for folder, names in going.items() for name in names}
    return tuple(other for other in elsewhere if (_name_of(other["run"]), other["id"]) not in given)


def _name_of(folder: str) -> str:
    """Of a set: its folder's name, wherever the corpus lies."""
    return folder.rstrip("/").rpartition("/")[2]


def _sets_of(folder: str) -> list[str]:
    """The run folders of a corpus; none where the folder is no corpus."""
    try:
        store = open_store(settled_path(folder))
    except AddressError as error:
        raise ConfigError(str(error)) from error
    if store.exists(STATE):
        return []
    return [store.location(f"{SETS}/{entry['name']}") for entry in shard_sets(store)]
