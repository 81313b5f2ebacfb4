"""Which commits of which data sets of a hub a run has read."""

from winnow.engine.records import Json
from winnow.flow.records import RunRecords
from winnow.storage.hub import is_hub, parse_hub


def commits_read(run: RunRecords) -> dict[str, list[Json]]:
    """By source, data sets and commits. A file that is the same in a later commit keeps the one where it was found."""
    read: dict[str, set[tuple[str, str]]] = {}
    for file in run.files:
        if is_hub(file.path):
            address = parse_hub(file.path)
            read.setdefault(file.source, set()).add((address.repository, address.revision))
    return {
        source: [{"repository": repository, "commit": commit} for repository, commit in sorted(found)]
        for source, found in read.items()
    }


def hub_lines(run: RunRecords) -> list[str]:
    """Lines of the summary."""
    licences = {source.name: source.licence for source in run.config.sources}
    return [
        f"source {source}: hf://datasets/{entry['repository']} at commit {entry['commit']}, licence "
        f"{licences[source] or 'not told'}"
        for source, entries in commits_read(run).items()
        for entry in entries
    ]
