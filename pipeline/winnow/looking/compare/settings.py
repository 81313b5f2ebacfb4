"""Settings, versions and input files in which two runs differ."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from winnow.engine.records import Json
from winnow.flow.records import RunRecords

ABSENT = "-"
"""What a setting is where a run does not have it."""


class Changed(NamedTuple):
    """One setting, or the version of a library."""

    name: str
    then: Any
    now: Any


def changed_settings(then: Json, now: Json) -> list[Changed]:
    """Settings and versions of two manifests that differ, by name: those that results may depend on."""
    names = ("config", "versions")
    flat = [
        {**_sorted(_flat(manifest[names[0]], "")), **_sorted(_flat(manifest[names[1]], names[1]))}
        for manifest in (then, now)
    ]
    return [
        Changed(name, flat[0].get(name, ABSENT), flat[1].get(name, ABSENT))
        for name in dict.fromkeys([*flat[0], *flat[1]])
        if flat[0].get(name, ABSENT) != flat[1].get(name, ABSENT)
    ]


def _sorted(entries: Iterator[tuple[str, Any]]) -> dict[str, Any]:
    return dict(sorted(entries))


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every setting with its whole name; entries of lists by the name that they have."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value and all(isinstance(entry, dict) and entry.get("name") for entry in value):
        for entry in value:
            yield from _flat({key: inner for key, inner in entry.items() if key != "name"}, f"{name}.{entry['name']}")
    else:
        yield name, value


def changed_files(then: RunRecords, now: RunRecords) -> dict[str, int]:
    """Input files that only one run has, and those that both have with another size or time."""
    files = [{(file.source, file.path): file.state for file in run.files} for run in (then, now)]
    both = files[0].keys() & files[1].keys()
    return {
        "both": len(both),
        "changed": sum(files[0][name] != files[1][name] for name in both),
        "only_then": len(files[0]) - len(both),
        "only_now": len(files[1]) - len(both),
    }
