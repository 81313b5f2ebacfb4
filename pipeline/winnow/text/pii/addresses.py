"""E-mail addresses and public IP addresses. Each function returns (start, end), or (0, 0) where there is none."""

from winnow.numeric.jit import kernel
from winnow.text.pii.bytes import (
    ALPHA,
    CLASS,
    DIGIT,
    HEX,
    LABEL,
    LOCAL,
    WORD,
    has,
    is_byte,
    number_begins,
    number_ends,
    run_end,
)

LONGEST_LOCAL = 64
_LONGEST_LABEL = 63
_LONGEST_TOP = 24


@kernel
def _packed(data, start, end):  # type: ignore[no-untyped-def]
    """Up to eight letters as a number, in lower case."""
    number = 0
    for at in range(start, end):
        number = (number << 8) | (data[at] | 0x20)
    return number


def _number(word: str) -> int:
    return int.from_bytes(word.encode(), "big")


_GIF, _JPG, _PNG, _SVG, _JPEG, _WEBP = (_number(word) for word in ("gif", "jpg", "png", "svg", "jpeg", "webp"))
_V, _VERSION, _RELEASE = (_number(word) for word in ("v", "version", "release"))


@kernel
def email_at(data, begin, stop, at, taken):  # type: ignore[no-untyped-def]
    """The address around the ``@`` at ``at``, from ``taken`` on, the end of the address before.

    Up to 64 of ``A-Za-z0-9._%+-``; labels of a domain, the last one 2 to 24 letters that end no picture's name.
    """
    start = at
    low = max(begin, at - LONGEST_LOCAL, taken)
    while start > low and CLASS[data[start - 1]] & LOCAL:
        start -= 1
    while start < at and not (has(data, start, begin, stop, WORD) and not has(data, start - 1, begin, stop, WORD)):
        start += 1
    if start == at or data[at - 1] == 0x2E:
        return 0, 0
    end = 0
    label = at + 1
    first = True
    while True:
        behind = run_end(data, label, stop, LABEL)
        length = behind - label
        if length == 0 or length > _LONGEST_LABEL or data[label] == 0x2D or data[behind - 1] == 0x2D:
            break
        letters = run_end(data, label, behind, ALPHA) == behind
        if not first and letters and 2 <= length <= _LONGEST_TOP and not has(data, behind, begin, stop, WORD):
            name = _packed(data, label, behind) if length <= 4 else 0
            if name not in (_PNG, _JPG, _GIF, _SVG, _JPEG, _WEBP):
                end = behind
        if not is_byte(data, behind, begin, stop, 0x2E):
            break
        label = behind + 1
        first = False
    return (start, end) if end else (0, 0)


@kernel
def ipv4_at(data, begin, stop, at):  # type: ignore[no-untyped-def]
    """The public IPv4 address that begins at ``at``, not behind ``v``, ``version``, ``release``; a port may follow."""
    if not number_begins(data, at, begin, stop):
        return 0, 0
    end = at
    address = 0
    for part in range(4):
        if part:
            if not is_byte(data, end, begin, stop, 0x2E):
                return 0, 0
            end += 1
        first = end
        end = run_end(data, first, min(stop, first + 4), DIGIT)
        if end == first or end - first > 3 or (end - first > 1 and data[first] == 0x30):
            return 0, 0
        value = 0
        for place in range(first, end):
            value = value * 10 + (data[place] - 0x30)
        if value > 255:
            return 0, 0
        address = (address << 8) | value
    if not number_ends(data, end, begin, stop) and not _is_port(data, begin, stop, end):
        return 0, 0
    if not is_public_ipv4(address) or _behind_version(data, begin, at):
        return 0, 0
    return at, end


@kernel
def _is_port(data, begin, stop, at):  # type: ignore[no-untyped-def]
    """Whether ``:`` and one to five digits stand here, and no word goes on behind them."""
    if not is_byte(data, at, begin, stop, 0x3A):
        return False
    end = run_end(data, at + 1, min(stop, at + 7), DIGIT)
    return 1 <= end - at - 1 <= 5 and number_ends(data, end, begin, stop)


@kernel
def is_public_ipv4(address):  # type: ignore[no-untyped-def]
    """Whether an address is one of the world's: none of a home network, of documentation, of a group, or reserved."""
    first, second, third = address >> 24, (address >> 16) & 255, (address >> 8) & 255
    if first in (0, 10, 127) or first >= 224:
        return False
    if first == 100:
        return not 64 <= second <= 127
    if first == 169:
        return second != 254
    if first == 172:
        return not 16 <= second <= 31
    if first == 192:
        return not (second == 168 or (second == 0 and third in (0, 2)))
    if first == 198:
        return not (second in (18, 19) or (second == 51 and third == 100))
    return not (first == 203 and second == 0 and third == 113)


@kernel
def _behind_version(data, begin, at):  # type: ignore[no-untyped-def]
    """Whether ``v``, ``version`` or ``release`` stands before ``at``, with up to three of `` .:=-_/("'`` between."""
    end = at
    while end > begin and at - end < 3:
        byte = data[end - 1]
        if byte not in (0x20, 0x2E, 0x3A, 0x3D, 0x2D, 0x5F, 0x2F, 0x28, 0x22, 0x27):
            break
        end -= 1
    start = end
    while start > begin and end - start < 8 and CLASS[data[start - 1]] & ALPHA:
        start -= 1
    if end - start == 0 or end - start > 7:
        return False
    word = _packed(data, start, end)
    return word in (_V, _VERSION, _RELEASE)


@kernel
def ipv6_at(data, begin, stop, at):  # type: ignore[no-untyped-def]
    """The public IPv6 address whose first ``:`` stands at ``at``: groups of up to four hex digits, the first of 2000 to
    3fff, eight or fewer with one ``::``."""
    start = at - 4
    if start < begin or not (data[start] == 0x32 or data[start] == 0x33):
        return 0, 0
    for place in range(start, at):
        if not CLASS[data[place]] & HEX:
            return 0, 0
    if not number_begins(data, start, begin, stop) or is_byte(data, start - 1, begin, stop, 0x3A):
        return 0, 0
    groups = 1
    short = False
    second = -1
    end = at
    while groups < 8 and is_byte(data, end, begin, stop, 0x3A):
        place = end + 1
        if is_byte(data, place, begin, stop, 0x3A):
            if short:
                return 0, 0
            short = True
            place += 1
            second = max(second, 0)
        behind = run_end(data, place, min(stop, place + 5), HEX)
        if behind == place:
            if data[place - 1] == 0x3A and place - end == 2:
                end = place  # an address that ends with ::
            break
        if behind - place > 4:
            return 0, 0
        if second < 0:
            second = 0
            for digit in range(place, behind):
                second = (second << 4) | _hex_value(data[digit])
        groups += 1
        end = behind
    if not (groups == 8 and not short) and not (groups < 8 and short):
        return 0, 0
    if not number_ends(data, end, begin, stop):
        return 0, 0
    if is_byte(data, end, begin, stop, 0x3A) and is_byte(data, end + 1, begin, stop, 0x3A):
        return 0, 0
    top = 0
    for digit in range(start, at):
        top = (top << 4) | _hex_value(data[digit])
    if top == 0x2001 and (second < 0x200 or second == 0xDB8):
        return 0, 0
    if top == 0x3FFF and second < 0x1000:
        return 0, 0
    return start, end


@kernel
def _hex_value(byte):  # type: ignore[no-untyped-def]
    return byte - 0x30 if byte <= 0x39 else (byte | 0x20) - 0x57
