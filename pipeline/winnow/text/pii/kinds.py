"""The kinds of personal data: their order, what is looked for unless told otherwise, what stands in their place."""

from typing import NamedTuple


class Kind(NamedTuple):
    """One kind."""

    name: str
    on: bool
    """Unless the config says otherwise: kinds with many false finds are off."""
    token: str
    """What stands in its place."""


KINDS = (
    Kind("secret", True, "<KEY>"),
    Kind("email", True, "<EMAIL>"),
    Kind("ipv6", True, "<IP_ADDRESS>"),
    Kind("ipv4", True, "<IP_ADDRESS>"),
    Kind("card", False, "<CARD_NUMBER>"),
    Kind("iban", False, "<IBAN>"),
    Kind("ssn", False, "<SSN>"),
    Kind("phone", False, "<PHONE_NUMBER>"),
)
"""In their order: of two that begin at one place and are as long, the first counts."""
NAMES = tuple(kind.name for kind in KINDS)
TOKENS = {kind.name: kind.token for kind in KINDS}
