"""The parts of an address that lists are compared with: host, the address without scheme, and words.

Hosts are lower case, without user, port and dots at either end. An address is its host and what follows it up to the
fragment, without one slash at its end. A word is a run of ASCII letters and digits, in lower case, and of bytes that
are not ASCII; escapes (``%41``) stand for their bytes.

Hosts that are not ASCII, or have escapes, are rewritten beforehand (:mod:`winnow.text.urls.hosts`).
"""

from typing import Any

from winnow.numeric.jit import inline_kernel, kernel

COLON, SLASH, BACKSLASH, DOT, AT, HASH, QUESTION, PERCENT = 58, 47, 92, 46, 64, 35, 63, 37
_OPEN, _CLOSE = 91, 93  # square brackets, around an IPv6 address


@inline_kernel
def lower(byte: Any) -> Any:
    """An ASCII letter in lower case, other bytes as they are."""
    return byte + 32 if 65 <= byte <= 90 else byte


@inline_kernel
def is_letter(byte: int) -> bool:
    """An ASCII letter."""
    return 97 <= byte | 32 <= 122


@inline_kernel
def is_digit(byte: int) -> bool:
    """An ASCII digit."""
    return 48 <= byte <= 57


@inline_kernel
def _is_slash(byte: int) -> bool:
    return byte == SLASH or byte == BACKSLASH  # noqa: PLR1714 - compiles to two comparisons


@inline_kernel
def _ends_host(byte: int) -> bool:
    return _is_slash(byte) or byte == QUESTION or byte == HASH  # noqa: PLR1714


@kernel
def _is_of_web(data: Any, start: int, end: int) -> bool:
    """Whether bytes are the scheme http, https, ws, wss or ftp: browsers take any number of slashes behind these."""
    size = end - start
    if size > 5 or size < 2:
        return False
    word: Any = 0
    for i in range(start, end):
        word = word * 256 + lower(data[i])
    # http, https, ws, wss, ftp
    return word in (0x68747470, 0x6874747073, 0x7773, 0x777373, 0x667470)


@kernel
def _after_scheme(data: Any, start: int, end: int) -> int:
    """Where user, host and port begin; -1 where the address has none (``mailto:``, ``urn:``, a path)."""
    i = start
    if i < end and is_letter(data[i]):
        while i < end and (is_letter(data[i]) or is_digit(data[i]) or data[i] in (43, 45, 46)):
            i += 1
    if i in (start, end) or data[i] != COLON:  # no scheme
        if start < end and _is_slash(data[start]):
            return start + 2 if start + 1 < end and _is_slash(data[start + 1]) else -1
        return start
    after = i + 1
    slashes = 0
    while after + slashes < end and _is_slash(data[after + slashes]):
        slashes += 1
    if _is_of_web(data, start, i):
        return after + slashes
    if slashes >= 2:
        return after + 2
    digits = after
    while digits < end and is_digit(data[digits]):
        digits += 1
    is_port = digits > after and (digits == end or _ends_host(data[digits]))
    return start if is_port else -1


@kernel
def find_host(data: Any, start: int, end: int) -> tuple[int, int, int]:
    """First and last byte + 1 of the host of an address, and where what follows it begins; -1 three times for none."""
    while start < end and data[start] <= 32:
        start += 1
    while end > start and data[end - 1] <= 32:
        end -= 1
    first = _after_scheme(data, start, end)
    if first < 0:
        return -1, -1, -1
    rest = first
    while rest < end and not _ends_host(data[rest]):
        if data[rest] == AT:
            first = rest + 1
        rest += 1
    last = first
    if first < rest and data[first] == _OPEN:
        while last < rest and data[last] != _CLOSE:
            last += 1
        last = min(last + 1, rest)
    else:
        while last < rest and data[last] != COLON:
            last += 1
    while last > first and data[last - 1] == DOT:
        last -= 1
    while first < last and data[first] == DOT:
        first += 1
    if first == last:
        return -1, -1, -1
    return first, last, rest


@kernel
def address_end(data: Any, rest: int, end: int) -> int:
    """Where what is compared of an address ends: before its fragment, white space, and one slash at its end."""
    i = rest
    while i < end and data[i] != HASH:
        i += 1
    while i > rest and data[i - 1] <= 32:
        i -= 1
    if i > rest and data[i - 1] == SLASH:
        i -= 1
    return i


@kernel
def _hex(byte: Any) -> int:
    if is_digit(byte):
        return int(byte) - 48
    byte = byte | 32
    return int(byte) - 87 if 97 <= byte <= 102 else -1


@kernel
def next_word(data: Any, i: int, end: int, word: Any) -> tuple[int, int]:
    """Write the next word from byte i on into ``word``; returns its size (0: there is none) and where to go on."""
    size = 0
    while i < end:
        byte: Any = data[i]
        step = 1
        if byte == PERCENT and i + 2 < end:
            high, low = _hex(data[i + 1]), _hex(data[i + 2])
            if high >= 0 and low >= 0:
                byte = high * 16 + low
                step = 3
        i += step
        if is_letter(byte) or is_digit(byte) or byte >= 128:
            word[size] = lower(byte)
            size += 1
        elif size:
            break
    return size, i
