"""What a user's function or class is: a signal, a mapper, a filter, or what finds spans.

Decorators only say so; nothing is wrapped."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, overload

Kind = Literal["signal", "mapper", "filter", "spans"]
T = TypeVar("T", bound=Callable[..., Any])
_ATTRIBUTE = "__winnow_operator__"


@dataclass(frozen=True)
class Mark:
    """What a decorator said of a function or class."""

    kind: Kind
    version: str
    """Part of the fingerprint: raise it when something outside the source file changes results."""
    deterministic: bool
    needs: tuple[str, ...] | None
    """Columns of the batch that it reads; None: all that there are."""
    gpu: bool
    columns: tuple[str, ...]
    """Names of a signal's columns, where it has several; the kinds of spans."""


class Marker:
    """The decorator of one kind of operators, with or without arguments.

    A function takes a ``pyarrow.RecordBatch`` and its settings as keyword arguments. A class takes its settings when
    it is made, once a worker process, and the batch when it is called.
    """

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    @overload
    def __call__(self, target: T) -> T: ...

    @overload
    def __call__(
        self,
        *,
        version: str = "",
        deterministic: bool = True,
        needs: tuple[str, ...] | list[str] | None = None,
        gpu: bool = False,
        columns: tuple[str, ...] | list[str] = (),
    ) -> Callable[[T], T]: ...

    def __call__(
        self,
        target: Any = None,
        *,
        version: str = "",
        deterministic: bool = True,
        needs: tuple[str, ...] | list[str] | None = None,
        gpu: bool = False,
        columns: tuple[str, ...] | list[str] = (),
    ) -> Any:
        """Mark a function or class.

        Args:
            target: the function or class.
            version: raise it when results change for another reason than the source file or the settings.
            deterministic: False is refused when a run begins: the same input must give the same bytes.
            needs: columns that it reads, such as ``text`` or a kept field; None gives it all.
            gpu: whether it wants a GPU: then it runs after dedup, on what is kept; not for mappers.
            columns: names of a signal's columns, where it returns several; the kinds of spans that are found.

        Raises:
            TypeError: ``columns`` for a mapper or filter, or ``needs`` or ``columns`` are no lists of names.
        """
        if columns and self._kind not in ("signal", "spans"):
            raise TypeError(f"winnow.{self._kind} has no columns; only a signal may have several")
        if isinstance(needs, str) or isinstance(columns, str):
            raise TypeError("needs and columns are lists of names, such as needs=['text']")
        if len(set(columns)) != len(columns) or not all(name.isidentifier() for name in columns):
            raise TypeError(f"columns ({', '.join(columns)}) must be different names of letters, digits and _")
        wanted = None if needs is None else tuple(needs)
        mark = Mark(self._kind, str(version), deterministic, wanted, gpu, tuple(columns))

        def put(marked: T) -> T:
            setattr(marked, _ATTRIBUTE, mark)
            return marked

        return put if target is None else put(target)


signal = Marker("signal")
"""A batch to numbers: one column, or several named ones (``columns=``). None and NaN stand for no value."""
mapper = Marker("mapper")
"""A batch to new texts, one a document."""
filter = Marker("filter")
"""A batch to booleans: True keeps the document."""

spans = Marker("spans")
"""A batch to lists of (start, end, kind), one list a document, in bytes of its UTF-8: what is replaced where texts
leave."""


def mark_of(target: Any) -> Mark | None:
    """What a function or class was marked as; None where it was not."""
    return getattr(target, _ATTRIBUTE, None)
