"""Personal data by Python's `re` and `ipaddress`: a plain statement of what the compiled kernels must find."""

import ipaddress
import re

W = rb"A-Za-z0-9_"
BEGINS = rb"(?<![A-Za-z0-9_])(?<![0-9][.\-])(?<![0-9A-Fa-f]:)"
ENDS = rb"(?![A-Za-z0-9_])(?![.\-][0-9])(?!:[0-9A-Fa-f])"
PORT = rb"(?=:[0-9]{1,5}(?![A-Za-z0-9_])(?![.\-][0-9])(?!:[0-9A-Fa-f]))"
EMAIL = re.compile(
    rb"(?<![A-Za-z0-9_])(?=([A-Za-z0-9_][A-Za-z0-9._%+\-]{0,63}(?<!\.)@"
    rb"(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?\.)+(?!(?i:png|jpg|gif|svg|jpeg|webp)(?![A-Za-z0-9]))[A-Za-z]{2,24}"
    rb"(?![A-Za-z0-9_\-])))"
)
IPV4 = re.compile(
    BEGINS
    + rb"(?=((?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
    rb"(?![0-9])(?:" + ENDS + rb"|" + PORT + rb")))"
)
VERSION = re.compile(rb"(?<![A-Za-z])(?i:v|version|release)[ .:=\-_/(\"']{0,3}$")
IPV6 = re.compile(BEGINS + rb"(?<!:)(?=([23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{0,35}[0-9A-Fa-f]" + ENDS + rb"(?!::)))")
IPV6_OPEN = re.compile(BEGINS + rb"(?<!:)(?=([23][0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{1,4}){0,6}::)" + ENDS + rb"(?!::))")
SSN = re.compile(BEGINS + rb"(?=((?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}" + ENDS + rb"))")
CARD = re.compile(
    BEGINS + rb"(?=([0-9]{13,19}" + ENDS + rb"|"
    rb"[0-9]{4}([ \-])[0-9]{4}\2[0-9]{4}\2[0-9]{4}\2[0-9]{3}" + ENDS + rb"|"
    rb"[0-9]{4}([ \-])[0-9]{4}\3[0-9]{4}\3[0-9]{4}" + ENDS + rb"|"
    rb"[0-9]{4}([ \-])[0-9]{6}\4[0-9]{5}" + ENDS + rb"|[0-9]{4}([ \-])[0-9]{6}\5[0-9]{4}" + ENDS + rb"))"
)
IBAN = re.compile(rb"(?<![A-Za-z0-9_])(?=([A-Z]{2}[0-9]{2}[A-Z0-9 ]{11,40}))")
PHONE = re.compile(
    BEGINS + rb"(?=([2-9][0-9]{2}([\-.])[2-9][0-9]{2}\2[0-9]{4}" + ENDS + rb"))|"
    rb"(?<![A-Za-z0-9_])(?=(\([2-9][0-9]{2}\) ?[2-9][0-9]{2}[\-.][0-9]{4}" + ENDS + rb"))"
)


def emails(data: bytes) -> list[tuple[int, int]]:
    return [(m.start(), m.end(1)) for m in EMAIL.finditer(data)]


def is_public(text: bytes) -> bool:
    """As `ipaddress` says, but for groups and reserved space; 6to4 is public, as its addresses hold public ones."""
    address = ipaddress.ip_address(text.decode())
    if address.version == 4:
        return address.is_global and not address.is_multicast
    if address in ipaddress.ip_network("2001::/23") or address in ipaddress.ip_network("3fff::/20"):
        return False
    return address in ipaddress.ip_network("2002::/16") or address.is_global


def ipv4s(data: bytes) -> list[tuple[int, int]]:
    found = [(m.start(), m.end(1)) for m in IPV4.finditer(data)]
    return [(a, b) for a, b in found if is_public(data[a:b]) and not VERSION.search(data[max(0, a - 20) : a])]


def ipv6s(data: bytes) -> list[tuple[int, int]]:
    found = [(m.start(), m.end(1)) for pattern in (IPV6, IPV6_OPEN) for m in pattern.finditer(data)]
    good = []
    for a, b in sorted(found):
        try:
            if is_public(data[a:b]):
                good.append((a, b))
        except ValueError:
            continue
    return good


def luhn(digits: str) -> bool:
    doubled = [int(d) if n % 2 == 0 else sum(divmod(2 * int(d), 10)) for n, d in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


ISSUERS = (
    (r"4", (13, 16, 19)),
    (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", (16,)),
    (r"3[47]", (15,)),
    (r"6011|64[4-9]|65|62|352[89]|35[3-8]", (16, 17, 18, 19)),
    (r"30[0-5]|36|38|39", (14,)),
)


def cards(data: bytes) -> list[tuple[int, int]]:
    found = []
    for m in CARD.finditer(data):
        digits = re.sub(r"[ -]", "", m[1].decode())
        issued = next((lengths for prefix, lengths in ISSUERS if re.match(prefix, digits)), ())
        if luhn(digits) and len(digits) in issued:
            found.append((m.start(), m.end(1)))
    return found


def ssns(data: bytes) -> list[tuple[int, int]]:
    return [(m.start(), m.end(1)) for m in SSN.finditer(data)]


def phones(data: bytes) -> list[tuple[int, int]]:
    """North American ones only."""
    return [(m.start(), m.end(1) if m[1] else m.end(3)) for m in PHONE.finditer(data)]


REFERENCE = {"email": emails, "ipv4": ipv4s, "ipv6": ipv6s, "card": cards, "ssn": ssns}


def apart(found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    chosen: list[tuple[int, int]] = []
    for a, b in sorted(found, key=lambda span: (span[0], -span[1])):
        if not chosen or a >= chosen[-1][1]:
            chosen.append((a, b))
    return chosen
