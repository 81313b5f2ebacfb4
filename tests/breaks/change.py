"""What a break is, and where its module stands in a checkout."""

from dataclasses import dataclass
from pathlib import Path

SOURCE_ROOTS = (".", "pipeline")
"""Where packages may lie below the checkout."""


@dataclass(frozen=True)
class Break:
    """One change that makes the code wrong, and the tests that must fail of it."""

    name: str
    promise: int
    """The sentence of DESIGN.md section 1 that it breaks, from 1."""
    module: str
    """By dotted name."""
    old: str
    """Stands exactly once in the module."""
    new: str
    tests: tuple[str, ...]
    """Test files, or single tests as pytest names them."""
    may_hang: bool = False
    """Whether tests that do not end have noticed it, too."""

    @property
    def package(self) -> str:
        """What the table counts it under."""
        parts = self.module.split(".")
        return ".".join(parts[:2]) if len(parts) > 2 else f"{parts[0]}.*"


def file_of(checkout: Path, module: str) -> Path:
    """The file of a module.

    Raises:
        LookupError: there is none.
    """
    for _, file in _places(checkout, module):
        return file
    raise LookupError(f"no file of module {module} under {checkout} or its {SOURCE_ROOTS[1]}/")


def _places(checkout: Path, module: str) -> list[tuple[Path, Path]]:
    """Every (root, file) at which the module stands."""
    relative = Path(*module.split("."))
    found = []
    for name in SOURCE_ROOTS:
        root = checkout / name
        found += [(root, file) for file in (root / f"{relative}.py", root / relative / "__init__.py") if file.is_file()]
    if not found and len(relative.parts) > 2 and relative.parts[1] == "jobs":  # installed inside the library
        found = [(root, file) for root, file in _places(checkout, ".".join(relative.parts[1:]))]
    return found


def fault_of(checkout: Path, change: Break) -> str | None:
    """Why a break cannot be applied to a checkout; None if it can."""
    try:
        text = file_of(checkout, change.module).read_text()
    except LookupError as error:
        return str(error)
    times = text.count(change.old)
    if times != 1:
        return f"{change.module}: its old text is found {times} times, not once"
    if change.old == change.new:
        return "it changes nothing"
    missing = [test for test in change.tests if not (checkout / test.partition("::")[0]).is_file()]
    return f"no such test file: {', '.join(missing)}" if missing or not change.tests else None
