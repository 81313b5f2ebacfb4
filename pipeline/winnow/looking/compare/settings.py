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
    return [*_changed("", then["config"], now["config"]), *_changed("versions", then["versions"], now["versions"])]


def _changed(name: str, then: Any, now: Any) -> Iterator[Changed]:
    """Settings that differ, each with its whole name; a section that only one has is told as a whole."""
    parts = [_by_name(value) for value in (then, now)]
    if parts[0] is None or parts[1] is None:
        if then != now:
            yield Changed(name, then, now)
        return
    for key in sorted({**parts[0], **parts[1]}):
        inner = f"{name}.{key}" if name else key
        yield from _changed(inner, parts[0].get(key, ABSENT), parts[1].get(key, ABSENT))


def _by_name(value: Any) -> dict[str, Any] | None:
    """Settings of a section, and entries of a list that have names; None for a single value."""
    if isinstance(value, dict):
        return {str(key): inner for key, inner in value.items()}
    if isinstance(value, list) and value and all(isinstance(entry, dict) and entry.get("name") for entry in value):
        return {entry["name"]: {key: inner for key, inner in entry.items() if key != "name"} for entry in value}
    return None


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
