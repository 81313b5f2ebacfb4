"""Card numbers, IBANs, US social security numbers and phone numbers: only what its own checks let pass.

Each function returns (start, end), or (0, 0) where there is none.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel
from winnow.text.pii.bytes import CLASS, DIGIT, UPPER, WORD, has, is_byte, number_begins, number_ends, run_end

_SHORTEST_CARD, _LONGEST_CARD = 13, 19
_CARD_GROUPS = np.array([[4, 4, 4, 4, 3], [4, 4, 4, 4, 0], [4, 6, 5, 0, 0], [4, 6, 4, 0, 0]], np.int64)
"""How card numbers are written in groups, the longest first."""

_IBAN_LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 "
    "EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 "
    "IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 "
    "NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 "
    "SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
)
"""Of the countries' account numbers. Source: the register of ISO 13616."""


def _by_country() -> NDArray[np.int64]:
    lengths = np.zeros(26 * 26, np.int64)
    for entry in _IBAN_LENGTHS.split():
        lengths[(ord(entry[0]) - 65) * 26 + ord(entry[1]) - 65] = int(entry[2:])
    return lengths


_LENGTH_BY_COUNTRY = _by_country()


@kernel
def card_at(data, begin, stop, at):  # type: ignore[no-untyped-def]
    """The card number that begins at ``at``: together, or in groups with one kind of separator (blank or hyphen); of an
    issuer, as long as that one's are, and with the check digit."""
    if not number_begins(data, at, begin, stop):
        return 0, 0
    end = run_end(data, at, min(stop, at + _LONGEST_CARD + 1), DIGIT)
    if end - at >= _SHORTEST_CARD:
        digits = end - at
        good = digits <= _LONGEST_CARD and number_ends(data, end, begin, stop) and _is_card(data, at, end, digits)
        return (at, end) if good else (0, 0)
    if end - at != 4 or not (is_byte(data, end, begin, stop, 0x20) or is_byte(data, end, begin, stop, 0x2D)):
        return 0, 0
    separator = data[end]
    for form in range(len(_CARD_GROUPS)):
        place = at
        digits = 0
        fits = True
        for number in range(5):
            group = _CARD_GROUPS[form, number]
            if group == 0 or not fits:
                break
            if number:
                fits = is_byte(data, place, begin, stop, separator)
                place += 1
            behind = run_end(data, place, min(stop, place + group + 1), DIGIT)
            fits = fits and behind - place == group
            place = behind
            digits += group
        if fits and number_ends(data, place, begin, stop) and _is_card(data, at, place, digits):
            return at, place
    return 0, 0


@kernel
def _is_card(data, start, end, digits):  # type: ignore[no-untyped-def]
    total = 0
    double = False
    for place in range(end - 1, start - 1, -1):
        if CLASS[data[place]] & DIGIT:
            value = int(data[place]) - 0x30
            if double:
                value = value * 2 - 9 if value > 4 else value * 2
            double = not double
            total += value
    if total % 10:
        return False
    four = 0
    for place in range(start, start + 4):
        four = four * 10 + int(data[place]) - 0x30
    one, two, three = four // 1000, four // 100, four // 10
    if one == 4:
        return digits in (13, 16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return digits == 16
    if two in (34, 37):
        return digits == 15
    if four == 6011 or 644 <= three <= 649 or two == 65 or 3528 <= four <= 3589 or two == 62:
        return 16 <= digits <= 19
    if 300 <= three <= 305 or two in (36, 38, 39):
        return digits == 14
    return False


@kernel
def iban_at(data, begin, stop, at):  # type: ignore[no-untyped-def]
    """The IBAN whose two check digits begin at ``at``: the country's length, blanks only between groups of four, and
    the remainder 1 by 97."""
    start = at - 2
    if not has(data, start, begin, stop, UPPER) or not has(data, at - 1, begin, stop, UPPER):
        return 0, 0
    if has(data, start - 1, begin, stop, WORD) or not has(data, at + 1, begin, stop, DIGIT):
        return 0, 0
    length = _LENGTH_BY_COUNTRY[(np.int64(data[start]) - 65) * 26 + np.int64(data[start + 1]) - 65]
    if length == 0:
        return 0, 0
    remainder = 0
    place = at + 2
    taken = 4
    while taken < length:
        if taken % 4 == 0 and is_byte(data, place, begin, stop, 0x20):
            place += 1
        if not has(data, place, begin, stop, DIGIT | UPPER):
            return 0, 0
        remainder = _with_character(remainder, data[place])
        place += 1
        taken += 1
    if has(data, place, begin, stop, WORD):
        return 0, 0
    for front in range(start, start + 4):
        remainder = _with_character(remainder, data[front])
    return (start, place) if remainder == 1 else (0, 0)


@kernel
def _with_character(remainder, byte):  # type: ignore[no-untyped-def]
    value = np.int64(byte)
    return (remainder * 10 + value - 0x30) % 97 if value <= 0x39 else (remainder * 100 + value - 55) % 97


@kernel
def ssn_at(data, begin, stop, at):  # type: ignore[no-untyped-def]
    """The US social security number that begins at ``at``: ``ddd-dd-dddd`` of groups that are given out."""
    end = at + 11
    if end > stop or not number_begins(data, at, begin, stop) or not number_ends(data, end, begin, stop):
        return 0, 0
    for place in range(11):
        hyphen = place in (3, 6)
        if (data[at + place] == 0x2D) != hyphen or (not hyphen and not CLASS[data[at + place]] & DIGIT):
            return 0, 0
    area = _value(data, at, at + 3)
    if area in (0, 666) or area >= 900 or _value(data, at + 4, at + 6) == 0 or _value(data, at + 7, end) == 0:
        return 0, 0
    return at, end


@kernel
def _value(data, start, end):  # type: ignore[no-untyped-def]
    value = 0
    for place in range(start, end):
        value = value * 10 + int(data[place]) - 0x30
    return value


@kernel
def phone_at(data, begin, stop, at):  # type: ignore[no-untyped-def]
    """The phone number that begins at ``at``: ``+`` and 8 to 15 digits (after ``+1`` eleven in all), or a North
    American one as ``(ddd) ddd-dddd``, ``ddd-ddd-dddd`` or ``ddd.ddd.dddd``."""
    if data[at] == 0x2B:
        return _international(data, begin, stop, at)
    start = at
    place = at
    if data[at] == 0x28:
        if has(data, at - 1, begin, stop, WORD):
            return 0, 0
        place += 1
    elif not number_begins(data, at, begin, stop):
        return 0, 0
    if not _group(data, begin, stop, place, 3) or data[place] < 0x32:
        return 0, 0
    place += 3
    if data[start] == 0x28:
        if not is_byte(data, place, begin, stop, 0x29):
            return 0, 0
        place += 1
        if is_byte(data, place, begin, stop, 0x20):
            place += 1
        separator = np.uint8(0)
    else:
        separator = data[place] if place < stop else np.uint8(0)
        if separator not in (0x2D, 0x2E):
            return 0, 0
        place += 1
    if not _group(data, begin, stop, place, 3) or data[place] < 0x32:
        return 0, 0
    place += 3
    if not (is_byte(data, place, begin, stop, 0x2D) or is_byte(data, place, begin, stop, 0x2E)):
        return 0, 0
    if separator and data[place] != separator:
        return 0, 0
    place += 1
    if not _group(data, begin, stop, place, 4) or not number_ends(data, place + 4, begin, stop):
        return 0, 0
    return start, place + 4


@kernel
def _group(data, begin, stop, at, digits):  # type: ignore[no-untyped-def]
    """Whether exactly so many digits stand here."""
    return at + digits <= stop and run_end(data, at, min(stop, at + digits + 1), DIGIT) == at + digits


@kernel
def _international(data, begin, stop, at):  # type: ignore[no-untyped-def]
    if has(data, at - 1, begin, stop, WORD) or not has(data, at + 1, begin, stop, DIGIT) or data[at + 1] == 0x30:
        return 0, 0
    most = 11 if data[at + 1] == 0x31 else 15
    digits = 0
    gap = 0
    place = at + 1
    end = place
    while place < stop and gap <= 2:
        byte = data[place]
        if CLASS[byte] & DIGIT:
            if digits == most:
                break
            digits += 1
            gap = 0
            end = place + 1
        elif byte in (0x20, 0x2D, 0x2E, 0x28, 0x29, 0x2F):
            gap += 1
        else:
            break
        place += 1
    if digits < 8 or (most == 11 and digits != 11) or not number_ends(data, end, begin, stop):
        return 0, 0
    return at, end
