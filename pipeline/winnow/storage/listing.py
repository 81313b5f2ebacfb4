"""Objects by name: one object, all below a folder, or those that match a pattern, with the meaning it has on disks."""

from fnmatch import fnmatchcase
from glob import has_magic

from winnow.errors import AddressError
from winnow.storage.object_files import ObjectFiles, ObjectState


def find_objects(files: ObjectFiles, pattern: str) -> list[ObjectState]:
    """Objects that a URL names, sorted by URL; empty where there are none.

    ``*`` and ``?`` stop at a slash, ``**`` goes through folders; names that begin with a dot are passed over in folders
    and patterns, as shells do.

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
        found, _ = files.directly_in(folder)
    else:
        found = files.below(folder, _fixed_start(wanted[0]))
    return [o for o in found if o.url[-1] != "/" and matches(o.url[len(folder) + 1 :].split("/"), wanted)]


def _fixed_start(part: str) -> str:
    """What every name that matches begins with."""
    at = next((at for at, letter in enumerate(part) if letter in "*?["), len(part))
    return part[:at]


def matches(parts: list[str], pattern: list[str]) -> bool:
    """Whether the parts of a path match the parts of a pattern."""
    if not pattern or not parts:
        return not pattern and not parts
    if pattern[0] == "**":
        if any(pattern[1:]) and matches(parts, pattern[1:]):
            return True
        if parts[0].startswith("."):
            return False
        return matches(parts[1:], pattern) if len(parts) > 1 else len(pattern) == 1
    hidden = parts[0].startswith(".") and not pattern[0].startswith(".")
    return not hidden and fnmatchcase(parts[0], pattern[0]) and matches(parts[1:], pattern[1:])
