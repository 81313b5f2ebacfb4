"""The settings `measure.normalise`."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from winnow.section import Section

if TYPE_CHECKING:
    from ftfy import TextFixerConfig


class NormaliseConfig(Section):
    """What is repaired in the text. The ftfy options carry ftfy's names and defaults (ftfy 6.3)."""

    ftfy: bool = True
    """Repair the text as ``ftfy.fix_text`` does; false skips every option of ftfy below."""
    unescape_html: Literal["auto", True, False] = "auto"
    """Decode HTML entities: auto = until the document's first "<". As in ftfy, text is decoded until nothing changes,
    so what was escaped twice is decoded twice: `&amp;nbsp;` becomes a no-break space, `&amp;lt;` a "<"."""
    remove_terminal_escapes: bool = True
    """Remove ANSI terminal escape sequences."""
    fix_encoding: bool = True
    """Detect and repair mojibake. The next four options refine it."""
    restore_byte_a0: bool = True
    """Let a space stand for a no-break space inside mojibake."""
    replace_lossy_sequences: bool = True
    """Repair mojibake that was partly replaced by U+FFFD or "?"."""
    decode_inconsistent_utf8: bool = True
    """Repair mojibake sequences where the whole line cannot be decoded."""
    fix_c1_controls: bool = True
    """Read C1 control characters as Windows-1252, as browsers do."""
    fix_latin_ligatures: bool = True
    """Replace ligatures such as U+FB01 by their letters."""
    fix_character_width: Literal["auto", True, False] = "auto"
    """Replace full-width Latin, digits and punctuation, and half-width Katakana and Hangul, by the usual widths: auto =
    not in documents in Chinese, Japanese or Korean (a letter in twenty and more), where full width is usual."""
    uncurl_quotes: Literal["auto", True, False] = "auto"
    """Replace curly quotation marks by straight ones: auto = not in documents in Chinese, Japanese or Korean."""
    fix_line_breaks: bool = True
    """Replace CR LF, CR, U+2028, U+2029 and U+0085 by LF."""
    fix_surrogates: bool = True
    """Kept for completeness: valid UTF-8 holds no surrogates, so only repaired mojibake can need it."""
    remove_control_chars: bool = True
    """Remove control characters without displayed effect, U+FEFF among them."""
    normalization: Literal["NFC", "NFD", "NFKC", "NFKD"] | None = "NFC"
    """Unicode normal form; null = leave as it is."""
    max_decode_length: int = Field(default=1_000_000, gt=0)
    """Code points of the longest segment that is repaired at once; a longer line is cut."""
    lowercase: bool = False
    """After the repair: lower-case by Unicode's full mapping (Python's ``str.lower``)."""
    mask_urls: bool = False
    """After that: replace every URL by ``[URL]``. A URL is ``http://``, ``https://``, ``ftp://`` or ``www.``
    (any case, not after an ASCII letter, digit or underscore) and what follows up to white space, ``<``, ``>``,
    ``"``, a curly quote, or a letter or mark of a script written without spaces or of Korean, full-width forms
    included, less closing punctuation ``.,;:!?')]}``; at least one character must remain after the prefix."""
    mask_emails: bool = False
    """After that: replace every e-mail address by ``[EMAIL]``. An address is 1 to 64 of ``A-Z a-z 0-9 . _ % +
    -``, then ``@``, then labels of ``A-Z a-z 0-9 -`` joined by dots, the last of two letters or more."""
    remove_symbols: bool = False
    """After that: remove every character of the general categories Sc, Sk, Sm, So (``$ + < = > ^ ` | ~`` in
    ASCII, currency signs, arrows, emoji ...)."""

    @property
    def tells_cjk(self) -> bool:
        """Whether documents in Chinese, Japanese or Korean are repaired with other options."""
        return self.ftfy and "auto" in (self.fix_character_width, self.uncurl_quotes)

    def ftfy_config(self, *, cjk: bool = False) -> "TextFixerConfig":
        """The same options as ftfy takes them; ``cjk`` for documents in Chinese, Japanese or Korean."""
        from ftfy import TextFixerConfig  # noqa: PLC0415 - a config is often read and no text repaired

        options = {name: getattr(self, name) for name in TextFixerConfig._fields if name != "explain"}
        for name in ("fix_character_width", "uncurl_quotes"):
            options[name] = not cjk if options[name] == "auto" else options[name]
        # explain stays on: without it ftfy 6.3.1 ignores the four options that refine fix_encoding.
        return TextFixerConfig(**options, explain=True)
