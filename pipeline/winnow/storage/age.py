"""Files encrypted in the age format (age-encryption.org/v1), to one X25519 identity, read from any place in them.

A file is a header, which holds its own random file key for whoever has the identity, a nonce, and chunks of 64 KiB,
each sealed by ChaCha20-Poly1305 under the file key, with its number and whether it is the last. So any range can be
read by opening the chunks it lies in, and a changed, swapped, missing or added byte is found. Specification:
https://github.com/C2SP/C2SP/blob/main/age.md; `age` and `rage` read these files by the identity that ``winnow key``
prints. A stanza of our own, which they pass over, names the key.
"""

import base64
import hmac
import io
import os
from typing import Any, BinaryIO

from winnow.errors import EncryptionError, StorageError
from winnow.storage.keys import Key, primitives

PURPOSE = "age"
"""What the identity is derived for (:meth:`winnow.storage.keys.Key.derived`)."""
CHUNK_BYTES = 1 << 16
TAG_BYTES = 16
_SEALED_BYTES = CHUNK_BYTES + TAG_BYTES
_NONCE_BYTES = 16
_FIRST_LINE = b"age-encryption.org/v1"
_OURS = b"winnow-key"
_LARGEST_HEADER = 1 << 16
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


class Sealer:
    """Turns bytes, given piece by piece, into an age file."""

    def __init__(self, key: Key) -> None:
        file_key = os.urandom(16)
        nonce = os.urandom(_NONCE_BYTES)
        self.head = _header(key, file_key) + nonce
        """What stands before the chunks."""
        self._chunk = primitives().ciphers.ChaCha20Poly1305(_hkdf(file_key, nonce, b"payload"))
        self._number = 0
        self._held = bytearray()

    def sealed(self, data: memoryview) -> bytes:
        """Chunks that are complete now; one that may be the last is held back."""
        pieces = []
        at = 0
        if self._held:
            at = min(CHUNK_BYTES - len(self._held), len(data))
            self._held += data[:at]
            if len(self._held) < CHUNK_BYTES or at == len(data):
                return b""
            pieces.append(self._seal(self._held, last=False))
            self._held.clear()
        while len(data) - at > CHUNK_BYTES:
            pieces.append(self._seal(data[at : at + CHUNK_BYTES], last=False))
            at += CHUNK_BYTES
        self._held += data[at:]
        return b"".join(pieces)

    def end(self) -> bytes:
        """The last chunk."""
        return self._seal(self._held, last=True)

    def _seal(self, chunk: Any, *, last: bool) -> bytes:
        sealed: bytes = self._chunk.encrypt(_nonce(self._number, last=last), chunk, None)
        self._number += 1
        return sealed


class AgeReader(io.BufferedIOBase):
    """An age file as the file that was encrypted: seekable, for one thread at a time.

    Args:
        file: it, seekable; closed with this.
        name: of the file, for messages.
        key: that it was encrypted with.

    Raises:
        EncryptionError: it was encrypted with another key. StorageError: it is altered, or no such file.
    """

    def __init__(self, file: BinaryIO, name: str, key: Key) -> None:
        self._file, self.name = file, name
        file_key, nonce, self._first = _opened(file, name, key)
        self._chunk = primitives().ciphers.ChaCha20Poly1305(_hkdf(file_key, nonce, b"payload"))
        sealed = file.seek(0, 2) - self._first
        self._chunks = max(1, -(-sealed // _SEALED_BYTES))
        self._size = sealed - self._chunks * TAG_BYTES
        if self._size < 0 or (self._chunks > 1 and self._size <= (self._chunks - 1) * CHUNK_BYTES):
            raise self._altered("its end is missing")
        self._at = 0
        # the last chunk tells that there are no more: until it has, the size is what anybody may have cut
        last = (self._chunks - 1) * CHUNK_BYTES
        self._held, self._held_at = memoryview(self._chunks_of(last, last + 1)), last

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Where the next byte is read from."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go on reading elsewhere."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def expect(self, end: int) -> None:
        """Say that the bytes from here to ``end`` will be read: of a far file, they begin to come."""
        expect = getattr(self._file, "expect", None)
        if expect is not None:
            self._file.seek(self._first + self._at // CHUNK_BYTES * _SEALED_BYTES)
            expect(self._first + min(-(-end // CHUNK_BYTES), self._chunks) * _SEALED_BYTES)

    def read(self, size: int | None = -1) -> bytes:
        """``size`` bytes, or all that are left.

        Raises:
            StorageError: a chunk is altered.
        """
        end = self._size if size is None or size < 0 else min(self._at + size, self._size)
        if self._at >= end:
            return b""
        inside = self._at - self._held_at
        if not (inside >= 0 and end <= self._held_at + len(self._held)):
            self._held, self._held_at = (
                memoryview(self._chunks_of(self._at, end)),
                self._at // CHUNK_BYTES * CHUNK_BYTES,
            )
            inside = self._at - self._held_at
        data = bytes(self._held[inside : inside + end - self._at])
        self._at = end
        if len(self._held) > CHUNK_BYTES:  # a whole chunk is held for what follows, no more
            cut = (len(self._held) - 1) // CHUNK_BYTES * CHUNK_BYTES
            self._held, self._held_at = memoryview(bytes(self._held[cut:])), self._held_at + cut
        return data

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, unless the file ends."""
        target = memoryview(buffer).cast("B")
        data = self.read(len(target))
        target[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def _chunks_of(self, first: int, end: int) -> bytes:
        """The content of all chunks that hold [first, end)."""
        numbers = range(first // CHUNK_BYTES, (end - 1) // CHUNK_BYTES + 1)
        self._file.seek(self._first + numbers.start * _SEALED_BYTES)
        sealed = memoryview(self._file.read(len(numbers) * _SEALED_BYTES))
        pieces = []
        for at, number in enumerate(numbers):
            nonce = _nonce(number, last=number == self._chunks - 1)
            try:
                pieces.append(self._chunk.decrypt(nonce, sealed[at * _SEALED_BYTES : (at + 1) * _SEALED_BYTES], None))
            except primitives().InvalidTag:
                raise self._altered(f"the 64 KiB from byte {number * CHUNK_BYTES:,} of its content") from None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _altered(self, what: str) -> StorageError:
        return StorageError(f"{self.name}: altered ({what}); nothing of it is used")


def identity_of(key: Key) -> str:
    """The identity ``AGE-SECRET-KEY-1...`` by which other tools read the files: Bech32 (BIP 173) of the secret."""
    prefix, bits = "age-secret-key-", int.from_bytes(key.derived(PURPOSE), "big") << 4  # 256 bits and 4 of padding
    values = [bits >> 5 * place & 31 for place in reversed(range(52))]
    spread = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    check = _polymod([*spread, *values, *[0] * 6]) ^ 1
    values += [check >> 5 * place & 31 for place in reversed(range(6))]
    return (prefix + "1" + "".join(_BECH32[value] for value in values)).upper()


def _polymod(values: list[int]) -> int:
    found = 1
    for value in values:
        top = found >> 25
        found = (found & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            found ^= generator if top >> bit & 1 else 0
    return found


def _hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA-256 of one block (RFC 5869)."""
    return hmac.digest(hmac.digest(salt or bytes(32), secret, "sha256"), info + b"\x01", "sha256")


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def _text(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _bytes(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)


def _header(key: Key, file_key: bytes) -> bytes:
    """The header of a new file."""
    curve = primitives().curve
    own = curve.X25519PrivateKey.from_private_bytes(key.derived(PURPOSE))
    ephemeral = curve.X25519PrivateKey.generate()
    share, recipient = ephemeral.public_key().public_bytes_raw(), own.public_key().public_bytes_raw()
    wrapped = _wrapping(ephemeral.exchange(own.public_key()), share + recipient).encrypt(bytes(12), file_key, None)
    lines = [
        _FIRST_LINE,
        b"-> X25519 " + _text(share),
        _text(wrapped),
        b"-> " + _OURS + b" " + key.id.encode(),
        b"",
        b"---",
    ]
    head = b"\n".join(lines)
    return head + b" " + _text(hmac.digest(_hkdf(file_key, b"", b"header"), head, "sha256")) + b"\n"


def _wrapping(shared: bytes, salt: bytes) -> Any:
    return primitives().ciphers.ChaCha20Poly1305(_hkdf(shared, salt, b"age-encryption.org/v1/X25519"))


def _opened(file: BinaryIO, name: str, key: Key) -> tuple[bytes, bytes, int]:
    """File key, nonce, and where the chunks begin."""
    file.seek(0)
    head = file.read(4096)
    if b"\n--- " not in head:
        head += file.read(_LARGEST_HEADER)
    text, line, rest = head.partition(b"\n--- ")
    code, end, _ = rest.partition(b"\n")
    if not text.startswith(_FIRST_LINE + b"\n") or not line or not end:
        raise StorageError(f"{name}: no age file, or its beginning is altered")
    first = len(text) + len(line) + len(code) + len(end) + _NONCE_BYTES
    stanzas, told = _stanzas(text)
    for share, wrapped in stanzas:
        if (file_key := _file_key(share, wrapped, key)) is not None:
            expected = hmac.digest(_hkdf(file_key, b"", b"header"), text + b"\n---", "sha256")
            if not hmac.compare_digest(_text(expected), code) or len(head) < first:
                raise StorageError(f"{name}: altered (its header); nothing of it is used")
            return file_key, head[first - _NONCE_BYTES : first], first
    other = f"the key with id {told}" if told else "another key"
    raise EncryptionError(f"{name}: encrypted with {other}, not with the one with id {key.id}")


def _stanzas(text: bytes) -> tuple[list[tuple[bytes, bytes]], str]:
    """Share and wrapped key of every X25519 stanza, and the id of the key where it is told."""
    found, told = [], ""
    lines = text.split(b"\n")
    for line, body in zip(lines, [*lines[1:], b""], strict=True):
        words = line.split(b" ")
        try:
            if words[:2] == [b"->", b"X25519"] and len(words) == 3:
                found.append((_bytes(words[2]), _bytes(body)))
        except ValueError:
            continue
        if words[:2] == [b"->", _OURS] and len(words) == 3 and len(words[2]) == 16:
            told = words[2].decode("ascii", "replace")
    return found, told


def _file_key(share: bytes, wrapped: bytes, key: Key) -> bytes | None:
    curve = primitives().curve
    own = curve.X25519PrivateKey.from_private_bytes(key.derived(PURPOSE))
    try:
        shared = own.exchange(curve.X25519PublicKey.from_public_bytes(share))
        opened: bytes = _wrapping(shared, share + own.public_key().public_bytes_raw()).decrypt(bytes(12), wrapped, None)
    except (ValueError, primitives().InvalidTag):  # of somebody else, or altered
        return None
    return opened if len(opened) == 16 else None
