"""A draft whose file is encrypted as it is written."""

from typing import Any, BinaryIO

from winnow.storage.age import Sealer
from winnow.storage.draft import DIGESTS, DigestName, Draft
from winnow.storage.keys import Key


class EncryptedDraft(Draft):
    """``bytes`` and ``hash`` are of the file as it is stored, ``content_bytes`` and ``content_hash`` of what is written
    here; of that, nothing reaches the disk."""

    def __init__(self, file: BinaryIO, digest: DigestName, key: Key) -> None:
        super().__init__(file, digest)
        self._sealer = Sealer(key)
        self._content = DIGESTS[digest]()
        self._content_bytes = 0
        super().write(self._sealer.head)

    def write(self, data: Any) -> int:
        """Append ``data``; returns the number of its bytes."""
        view = memoryview(data).cast("B")
        self._content.update(view)
        self._content_bytes += view.nbytes
        if sealed := self._sealer.sealed(view):
            super().write(sealed)
        return view.nbytes

    def tell(self) -> int:
        """Bytes written so far, as who writes counts them."""
        return self._content_bytes

    def end(self) -> None:
        """Seal what is left."""
        super().write(self._sealer.end())

    @property
    def content_bytes(self) -> int:
        """Bytes before encryption."""
        return self._content_bytes

    @property
    def content_hash(self) -> str:
        """``name:hex`` digest before encryption."""
        return f"{self._digest_name}:{self._content.hexdigest()}"
