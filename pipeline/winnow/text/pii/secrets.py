"""Keys and tokens that are known by how they begin.

Each function returns (start, end), or (0, 0) where there is none.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel
from winnow.text.pii.bytes import ALPHA, BASE64URL, CLASS, DIGIT, HYPHEN, LOWER, UPPER, WORD, has, is_byte, run_end


class _Form(NamedTuple):
    """``prefix`` and then ``least`` to ``most`` bytes of the classes ``body``."""

    prefix: str
    anchor: int
    """The byte of the prefix that is looked for: a rare one."""
    body: int
    least: int
    most: int
    mixed: bool = False
    """Whether the body must hold a digit and a capital: prefixes that are also the beginnings of words."""


_ALNUM = ALPHA | DIGIT
_FORMS = (
    *(_Form(prefix, 0, UPPER | DIGIT, 16, 16) for prefix in ("AKIA", "ASIA", "ABIA", "ACCA")),  # AWS
    *(_Form(f"gh{letter}_", 3, _ALNUM, 36, 255) for letter in "pousr"),  # GitHub
    _Form("github_pat_", 10, WORD, 60, 255),
    _Form("glpat-", 5, BASE64URL, 20, 64),  # GitLab
    *(_Form(f"xox{letter}-", 4, _ALNUM | HYPHEN, 20, 255) for letter in "abeoprs"),  # Slack
    _Form("AIza", 0, BASE64URL, 35, 35),  # Google
    _Form("GOCSPX-", 6, BASE64URL, 28, 28),
    *(_Form(f"{kind}_live_", 7, _ALNUM, 16, 255) for kind in ("sk", "rk")),  # Stripe
    _Form("sk-", 2, BASE64URL, 40, 255, mixed=True),  # OpenAI, Anthropic
    _Form("npm_", 3, _ALNUM, 36, 36),
    _Form("pypi-", 4, BASE64URL, 85, 255, mixed=True),
    _Form("hf_", 2, _ALNUM, 34, 40),  # Hugging Face
    _Form("dop_v1_", 6, LOWER | DIGIT, 64, 64),  # DigitalOcean
    _Form("shpat_", 5, _ALNUM, 32, 32),  # Shopify
)
_LEAST_DIFFERENT = 6
"""Different bytes that a body has: ``xxxx`` stands for a key and is none."""
_LEAST_JWT_PART = 10


def _prefixes() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All prefixes, filled up with zeros, and (length, anchor, body, least, most, mixed) of each form."""
    rows = [(len(form.prefix), *form[1:]) for form in _FORMS]
    text = np.zeros((len(_FORMS), max(row[0] for row in rows)), np.uint8)
    for number, form in enumerate(_FORMS):
        text[number, : len(form.prefix)] = list(form.prefix.encode())
    return text, np.array(rows, np.int64)


_PREFIX, _RULE = _prefixes()
_LENGTH, _ANCHOR, _BODY, _LEAST, _MOST, _MIXED = range(6)
ANCHORS = bytes(sorted({form.prefix.encode()[form.anchor] for form in _FORMS} | set(b"-J")))
"""Bytes at which a secret may be: of the prefixes, of PEM blocks, of JSON web tokens (``eyJ``)."""


@kernel
def secret_at(data, begin, stop, at):  # type: ignore[no-untyped-def]
    """The secret of which ``at`` is the anchor."""
    if data[at] == 0x4A:
        return _web_token(data, begin, stop, at - 2)
    if data[at] == 0x2D and is_byte(data, at + 5, begin, stop, 0x42):
        return _private_key(data, begin, stop, at)
    for form in range(len(_RULE)):
        rule = _RULE[form]
        if _PREFIX[form, rule[_ANCHOR]] != data[at]:
            continue
        start = at - rule[_ANCHOR]
        body = start + rule[_LENGTH]
        if start < begin or body > stop:
            continue
        same = True
        for place in range(rule[_LENGTH]):
            same &= data[start + place] == _PREFIX[form, place]
        if not same or has(data, start - 1, begin, stop, WORD | (rule[_BODY] & HYPHEN)):
            continue
        end = run_end(data, body, min(stop, body + rule[_MOST] + 1), rule[_BODY])
        whole = rule[_LEAST] <= end - body <= rule[_MOST] and not has(data, end, begin, stop, WORD)
        if whole and _is_random(data, body, end, rule[_MIXED]):
            return start, end
    return 0, 0


@kernel
def _is_random(data, start, end, mixed):  # type: ignore[no-untyped-def]
    """Whether a body looks drawn, as far as that can be told."""
    seen = np.zeros(128, np.bool_)
    classes = 0
    for place in range(start, end):
        seen[data[place]] = True
        classes |= CLASS[data[place]]
    if mixed and not (classes & DIGIT and classes & UPPER):
        return False
    return seen.sum() >= _LEAST_DIFFERENT


@kernel
def _web_token(data, begin, stop, start):  # type: ignore[no-untyped-def]
    """A JSON web token: three parts in base64url with dots between; two objects, ``eyJ``, and a signature."""
    if has(data, start - 1, begin, stop, BASE64URL):
        return 0, 0
    end = start
    for part in range(3):
        if part:
            if not is_byte(data, end, begin, stop, 0x2E):
                return 0, 0
            end += 1
        first = end
        if part < 2:
            named = is_byte(data, first, begin, stop, 0x65) and is_byte(data, first + 1, begin, stop, 0x79)
            if not named or not is_byte(data, first + 2, begin, stop, 0x4A):
                return 0, 0
        end = run_end(data, first, stop, BASE64URL)
        if end - first < _LEAST_JWT_PART:
            return 0, 0
    return start, end


_BEGIN = np.frombuffer(b"-----BEGIN ", np.uint8).copy()
_END = np.frombuffer(b"-----END ", np.uint8).copy()
_PRIVATE = np.frombuffer(b"PRIVATE KEY", np.uint8).copy()
_LONGEST_NAME = 40


@kernel
def _private_key(data, begin, stop, at):  # type: ignore[no-untyped-def]
    """A PEM block of a private key, from ``-----BEGIN`` to behind the last hyphen; nothing of five hyphens between."""
    if is_byte(data, at - 1, begin, stop, 0x2D) or not _stands(data, stop, at, _BEGIN):
        return 0, 0
    place = _named(data, stop, at + len(_BEGIN))
    if place == 0:
        return 0, 0
    hyphens = 0
    while place < stop and hyphens < 5:
        hyphens = hyphens + 1 if data[place] == 0x2D else 0
        place += 1
    place -= 5
    if hyphens < 5 or not _stands(data, stop, place, _END):
        return 0, 0
    end = _named(data, stop, place + len(_END))
    return (at, end) if end else (0, 0)


@kernel
def _stands(data, stop, at, word):  # type: ignore[no-untyped-def]
    if at + len(word) > stop:
        return False
    same = True
    for place in range(len(word)):
        same &= data[at + place] == word[place]
    return same


@kernel
def _named(data, stop, at):  # type: ignore[no-untyped-def]
    """Behind ``... PRIVATE KEY ...-----``, or 0: the name of a block, in capitals, digits and blanks."""
    private = False
    place = at
    limit = min(stop, at + _LONGEST_NAME)
    while place < limit and (data[place] == 0x20 or CLASS[data[place]] & (UPPER | DIGIT)):
        private |= _stands(data, stop, place, _PRIVATE)
        place += 1
    if not private or place + 5 > stop:
        return 0
    for hyphen in range(5):
        if data[place + hyphen] != 0x2D:
            return 0
    return place + 5
