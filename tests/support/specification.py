"""Words and signals said plainly, slowly and without a kernel: what the compiled scans must equal."""

import re
import unicodedata
from collections import Counter
from functools import cache

from winnow.text.characters import IGNORABLE, SPACELESS_BLOCKS
from winnow.text.stop_words import STOP_WORDS

MASK = 2**64 - 1


@cache
def category(character: str) -> str:
    return unicodedata.category(character)


IGNORED = {
    chr(code_point)
    for first, _, last in (span.partition("-") for span in IGNORABLE.split())
    for code_point in range(int(first, 16), int(last or first, 16) + 1)
}


@cache
def is_word(character: str) -> bool:
    return character not in IGNORED and (category(character)[0] in "LM" or category(character) == "Nd")


@cache
def is_spaceless(character: str) -> bool:
    return is_word(character) and any(first <= ord(character) <= last for first, last in SPACELESS_BLOCKS.values())


def is_mark(character: str) -> bool:
    return character not in IGNORED and (category(character)[0] in "PS" or category(character) in ("Nl", "No"))


def words(text: str) -> list[str]:
    """The words of a text as they are written."""
    found: list[str] = []
    joined = False
    for character in text:
        if character in IGNORED:
            continue
        if is_spaceless(character) or (is_word(character) and not joined):
            found.append(character)
        elif is_word(character):
            found[-1] += character
        joined = is_word(character) and not is_spaceless(character)
    return found


def tokens(text: str) -> list[str]:
    """Words and marks in a row, as the repetition rules count them."""
    found: list[str] = []
    for piece in re.findall("[^ ]+", "".join(c if is_word(c) or is_mark(c) or c in IGNORED else " " for c in text)):
        found += [token for part in _without_spaceless(piece) for token in _tokens_of(part)]
    return found


def _without_spaceless(piece: str) -> list[str]:
    parts = [""]
    for character in piece:
        if is_spaceless(character):
            parts += [character, ""]
        else:
            parts[-1] += character
    return [part for part in parts if part]


def _tokens_of(piece: str) -> list[str]:
    parts: list[str] = []  # words, marks, runs of full stops or hyphens
    run_ended = False
    for character in piece:
        if character in IGNORED:
            run_ended = True
            continue
        joins = is_word(character) and is_word(parts[-1][-1]) if parts else False
        if joins or (parts and character in ".-" and parts[-1][0] == character and not run_ended):
            parts[-1] += character
        else:
            parts.append(character)
        run_ended = False
    goes_on = [n for n, part in enumerate(parts) if is_word(part[0]) or (part[0] in "-/\\@^|~+." and part[:2] != "..")]
    if not goes_on:
        return parts
    found, n = parts[: goes_on[0] + 1], goes_on[0] + 1
    while n < len(parts):
        following = next((k for k in range(n, len(parts)) if is_word(parts[k][0])), None)
        if following is None:
            return found + parts[n:]
        if following == n + 1 and _separates(found[-1][-1], parts[n], parts[following][0]):
            found += parts[n : following + 1]
        else:
            found[-1] += "".join(parts[n : following + 1])
        n = following + 1
    return found


def _separates(before: str, mark: str, after: str) -> bool:
    if mark[:2] == ".." or mark == "…":
        return True
    if mark[0] in ",-~–—":
        return before.isalpha() and after.isalpha()
    return mark in ":<>=/" and is_word(before) and after.isalpha()


def fold(word: str) -> str:
    return "".join(character.casefold() for character in word)


def hash_word(word: str) -> int:
    data = fold(word).encode("utf-8", "surrogatepass")
    value = 0x9E3779B97F4A7C15
    for at in range(0, len(data), 8):
        value = (value ^ int.from_bytes(data[at : at + 8], "little")) * 0xD6E8FEB86659FD93 & MASK
        value ^= value >> 32
    value = value * 0xFF51AFD7ED558CCD & MASK
    return value ^ value >> 29


def repeated(items: list[str]) -> tuple[int, int]:
    """Second and later occurrences, and their characters."""
    seen: set[str] = set()
    number = characters = 0
    for item in items:
        if item in seen:
            number += 1
            characters += len(item)
        seen.add(item)
    return number, characters


def top_gram(folded: list[str], lengths: list[int], n: int) -> int:
    grams = [tuple(folded[i : i + n]) for i in range(len(folded) - n + 1)]
    if not grams:
        return 0
    gram, count = Counter(grams).most_common(1)[0]
    first = grams.index(gram)
    return (sum(lengths[first : first + n]) + n - 1) * count


def duplicate_gram(folded: list[str], lengths: list[int], n: int) -> int:
    seen: set[tuple[str, ...]] = set()
    characters = i = 0
    while i <= len(folded) - n:
        gram = tuple(folded[i : i + n])
        if gram in seen:
            characters += sum(lengths[i : i + n])
            i += n
        else:
            seen.add(gram)
            i += 1
    return characters


def is_apostrophe(text: str, i: int) -> bool:
    return text[i] in "'’" and 0 < i < len(text) - 1 and is_word(text[i - 1]) and is_word(text[i + 1])


def mark_runs(text: str) -> int:
    return sum(
        is_mark(character) and not is_apostrophe(text, i) and not (i and is_mark(text[i - 1]))
        for i, character in enumerate(text)
    )


def sentences(line: str, terminal: set[str]) -> int:
    number, ended = 1, False
    for i, character in enumerate(line):
        following = line[i + 1 : i + 2]
        if is_word(character):
            number += ended
            ended = False
        elif character in ".!?":
            alone = not (following and is_word(following))
            if character == ".":
                alone &= following != "." and line[i - 1 : i] != "."
                before, earlier = line[i - 1 : i] if i else "", line[i - 2 : i - 1] if i > 1 else ""
                initial = before.isascii() and before.isupper() and not (earlier and is_word(earlier))
                alone &= not initial
            ended |= alone
        elif character in terminal:
            ended = True
    return number


def c4_words(line: str) -> list[str]:
    parts: list[str] = []
    for piece in line.split():
        current = ""
        for character in piece:
            if is_spaceless(character):
                parts += [current, character] if current else [character]
                current = ""
            else:
                current += character
        parts += [current] if current else []
    return parts


POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")


def ascii_lower(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text)


def c4(text: str, required: bool, terminal: set[str]) -> list[int]:
    """Lines kept, sentences in them, lines that reach `lorem ipsum` and `{`."""
    counts = [0, 0, 0, 0]
    for printed in text.splitlines():
        line = printed.strip()
        if not line:
            continue
        line_words = c4_words(line)
        if any(len(word) > 1000 for word in line_words):
            continue
        cut = re.sub(r"(?:\[[0-9]*\]|\[edit\]|\[citation needed\])+\Z", "", line)
        ends = cut[-1:] in (".", "?", "!", '"', "'") or (cut[-1:] in terminal and cut[-1:] != "")
        if required and (not ends or cut.endswith("...")):
            continue
        if len(line_words) < 3:
            continue
        lower = ascii_lower(line)
        counts[2] += "lorem ipsum" in lower
        if "javascript" in lower:
            continue
        counts[3] += "{" in line
        if any(policy in lower for policy in POLICIES):
            continue
        counts[0] += 1
        counts[1] += sentences(line, terminal)
    return counts


def signals(text: str, terminal: set[str]) -> dict[str, int]:
    written = words(text)
    folded = [fold(word) for word in written]
    lengths = [len(word) for word in written]
    folded_tokens, token_lengths = [fold(token) for token in tokens(text)], [len(token) for token in tokens(text)]
    filled = [line for line in text.split("\n") if line.strip()]
    text_lines = re.split("\n+", text)
    paragraphs = re.split(r"\n{2,}", text.strip())
    printed = text.splitlines()
    duplicate_lines, duplicate_paragraphs = repeated(text_lines), repeated(paragraphs)
    any_end, with_terminal = c4(text, False, terminal), c4(text, True, terminal)
    c4_names = ("lines", "sentences", "lorem_ipsum_lines", "curly_bracket_lines")
    return {
        "words": len(written),
        "word_characters": sum(lengths),
        "words_with_letter": sum(any(c.isalpha() for c in word) for word in written),
        "spaceless_words": sum(is_spaceless(word[0]) for word in written),
        "bytes": len(text.encode()),
        "characters": len(text),
        "marks": sum(map(is_mark, text)),
        "mark_runs": mark_runs(text),
        "hash_signs": text.count("#"),
        "ellipses": text.count("...") + text.count("…"),
        "line_feeds": text.count("\n"),
        "filled_lines": len(filled),
        "terminal_lines": sum(line[-1] in terminal for line in filled),
        "short_lines": sum(len(line) <= 30 for line in filled),
        "repeated_line_characters": repeated(filled)[1],
        "text_lines": len(text_lines),
        "duplicate_lines": duplicate_lines[0],
        "duplicate_line_characters": duplicate_lines[1],
        "paragraphs": len(paragraphs),
        "duplicate_paragraphs": duplicate_paragraphs[0],
        "duplicate_paragraph_characters": duplicate_paragraphs[1],
        "printed_lines": len(printed),
        "bullet_lines": sum(line.lstrip().startswith(("•", "-")) for line in printed),
        "ellipsis_lines": sum(line.rstrip().endswith(("...", "…")) for line in printed),
        **{f"c4_{name}": value for name, value in zip(c4_names, any_end, strict=True)},
        **{f"c4_terminal_{name}": value for name, value in zip(c4_names, with_terminal, strict=True)},
        **{f"top_{n}_gram_characters": top_gram(folded_tokens, token_lengths, n) for n in (2, 3, 4)},
        **{f"duplicate_{n}_gram_characters": duplicate_gram(folded_tokens, token_lengths, n) for n in range(5, 11)},
        **{
            f"stop_words_{language}": len(set(listed) & set(written if language == "en" else folded))
            for language, listed in STOP_WORDS.items()
        },
    }
