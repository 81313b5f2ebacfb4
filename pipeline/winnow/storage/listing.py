"""Objects by name: one object, all below a folder, or those that match a pattern, with the meaning it has on disks."""

import re
from fnmatch import fnmatchcase
from glob import has_magic

from winnow.errors import AddressError
from winnow.storage.object_files import ObjectFiles, ObjectState

_MARKER = re.compile(
    r"_(SUCCESS|metadata|common_metadata|committed_.*|started_.*|temporary|delta_log|change_data|spark_metadata"
    r"|symlink_format_manifest)"
)


def is_passed_over(name: str) -> bool:
    """Whether folders and patterns pass over a name, and all below it: it begins with a dot, or Spark, Hive, Delta and
    Parquet's writers put their own notes there, beside the data (``_SUCCESS``, ``_metadata``, ``_delta_log``)."""
    return name.startswith(".") or _MARKER.fullmatch(name) is not None


def find_objects(files: ObjectFiles, pattern: str) -> list[ObjectState]:
    """Objects that a URL names, sorted by URL; empty where there are none.

    ``*`` and ``?`` stop at a slash, ``**`` goes through folders; of a folder that a pattern names, all that lies below
    it is meant. :func:`is_passed_over` says what is not.

    Raises:
        AddressError: the bucket is a pattern.
    """
    scheme, _, path = pattern.partition("://")
    parts = path.rstrip("/").split("/")
    if has_magic(parts[0]):
        raise AddressError(f"{pattern}: the bucket must be named; patterns are for what lies in it")
    plain = next((number for number, part in enumerate(parts) if has_magic(part)), len(parts))
    folder = f"{scheme}://{'/'.join(parts[:plain])}"
    if plain == len(parts):
        state = files.state(folder) if len(parts) > 1 and not path.endswith("/") else None
        if state is not None:
            return [state]
        wanted = ["**"]
    else:
        state = files.state(pattern) if "[" in path and not path.endswith("/") else None
        if state is not None:  # as on a disk, a name means the object of this name before it means a pattern
            return [state]
        wanted = parts[plain:]
    if len(wanted) == 1 and wanted[0] != "**":
        found, folders = files.directly_in(folder)
        for name in folders:
            if matches([name], wanted):
                found += files.below(f"{folder}/{name}")
    else:
        found = files.below(folder, _fixed_start(wanted[0]))
    return [o for o in sorted(found) if o.url[-1] != "/" and matches(o.url[len(folder) + 1 :].split("/"), wanted)]


def _fixed_start(part: str) -> str:
    """What every name that matches begins with."""
    at = next((at for at, letter in enumerate(part) if letter in "*?["), len(part))
    return part[:at]


def matches(parts: list[str], pattern: list[str]) -> bool:
    """Whether the parts of a path match the parts of a pattern, or lie below what matches it."""
    if not pattern:
        return not any(map(is_passed_over, parts))
    if not parts:
        return False
    if pattern[0] == "**":
        if any(pattern[1:]) and matches(parts, pattern[1:]):
            return True
        if is_passed_over(parts[0]):
            return False
        return matches(parts[1:], pattern) if len(parts) > 1 else len(pattern) == 1
    passed_over = is_passed_over(parts[0]) and pattern[0][:1] != parts[0][:1]
    return not passed_over and fnmatchcase(parts[0], pattern[0]) and matches(parts[1:], pattern[1:])
