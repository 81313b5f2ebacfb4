"""Closing the books: what went in equals the sum of what came out, or the run fails and says where."""

from dataclasses import dataclass

from winnow.errors import BooksError


@dataclass(frozen=True)
class Balance:
    """One equation of the books."""

    what: str
    expected: int
    found: int

    def __str__(self) -> str:
        return f"{self.what}: {self.expected:,} expected, {self.found:,} found"


def close_books(balances: list[Balance]) -> None:
    """Check every equation.

    Raises:
        BooksError: with every equation that does not hold.
    """
    open_books = [balance for balance in balances if balance.expected != balance.found]
    if open_books:
        listed = "\n".join(f"  {balance}" for balance in open_books)
        raise BooksError(
            f"the books do not close; nothing was published. This is a fault in winnow, please report:\n{listed}"
        )
