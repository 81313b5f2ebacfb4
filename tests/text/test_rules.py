"""The rules: published expected values, every threshold at, under and over, languages, settings."""

import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import zstandard

from winnow.text.rules.config import RULE_NAMES, RulesConfig
from winnow.text.rules.rules import evaluate
from winnow.text.signals.signals import SIGNALS, measure

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
NEEDS_SHARED = pytest.mark.skipif(not (SHARED / "corpus").exists(), reason=f"needs the shared corpus in {SHARED}")
OFF = {"gopher_quality": "off", "gopher_repetition": "off", "c4": "off", "fineweb": "off"}


def rules(**settings: Any) -> RulesConfig:
    return RulesConfig.model_validate({**OFF, **settings})


def failed(text: str, config: RulesConfig, language: str | None = "en") -> list[str]:
    found = evaluate(measure(pa.array([text], pa.large_string())).signals, pa.array([language], pa.string()), config)
    return [RULE_NAMES[rule].rpartition(".")[2] for rule in found.rule]


QUALITY = rules(gopher_quality={"min_words": 10, "max_words": 1000})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("I am too small...", "min_words"),
        ("I am " * 20, "min_mean_word_length"),
        ("interconnection " * 20, "max_mean_word_length"),
        ("# comment " * 20, "max_hash_ratio"),
        ("... comment " * 20, "max_ellipsis_ratio"),
        ("the ./!*?<><> apple <?////> orange  ++ interconnection !<>??? have" * 20, "min_words_with_letter_ratio"),
    ],
)
def test_gopher_quality_published_cases(text: str, reason: str) -> None:
    assert reason in failed(text, QUALITY)


def peer_text(file: str, name: str) -> str:
    data = json.loads((SHARED / "oracles" / "oracle_peer_testdata.json").read_text())
    return str(data[f"datatrove/tests/pipeline/filters/{file}"][name])


@NEEDS_SHARED
def test_gopher_quality_keeps_good_text() -> None:
    assert failed(peer_text("test_filters.py", "TEXT_LF_1"), QUALITY) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("I am your father.\n" * 4, "max_duplicate_line_ratio"),
        ("I am your father.\n\n" * 4, "max_duplicate_paragraph_ratio"),
        (
            "I am groot.\n\nYou are a wizard.\n\nI am your father.\n\n" + ("x" * 30 + ".\n\n") * 2,
            "max_duplicate_paragraph_character_ratio",
        ),
        (
            "I am groot.\nYou are a wizard.\nI am your father.\n" + ("x" * 40 + ".\n") * 2,
            "max_duplicate_line_character_ratio",
        ),
        ("I am Frank, I am Frank, I am Frank", "max_top_2_gram_ratio"),
        ("I am Frank, you are Jhon. I am Frank. I am Frank you are Jhon", "max_top_3_gram_ratio"),
    ],
)
def test_gopher_repetition_published_cases(text: str, reason: str) -> None:
    assert reason in failed(text, rules(gopher_repetition="on"))


@NEEDS_SHARED
def test_gopher_repetition_duplicate_grams() -> None:
    text = "I am a solo traveller " * 4 + peer_text("test_filters.py", "TEXT_LF_1")
    assert "max_duplicate_5_gram_ratio" in failed(text, rules(gopher_repetition=True))


GOOD = (
    "This is a well-written paragraph with several sentences.\nThe content continues with useful words.\n"
    "It has a third line that says more.\nA fourth line follows the third one.\nThe last line ends the text."
)


def test_c4_published_cases() -> None:
    assert failed(GOOD, rules(c4="on")) == []
    assert failed(GOOD + "\nHere is lorem ipsum dolor sit.", rules(c4="on")) == ["max_lorem_ipsum_lines"]
    assert failed(GOOD + "\nHere is a { bracket.", rules(c4="on")) == ["max_curly_bracket_lines"]
    assert failed("Just one sentence.", rules(c4="on")) == ["min_sentences"]
    unpunctuated = GOOD.replace(".", ";")
    assert failed(unpunctuated, rules(c4="on")) == []
    assert failed(unpunctuated, rules(c4={"require_terminal_punctuation": True})) == ["min_sentences"]
    cookies = "This site uses cookies for tracking.\nAnother valid line here today."
    row = measure(pa.array([cookies], pa.large_string())).signals.to_pylist()[0]
    assert (row["c4_lines"], row["c4_sentences"]) == (1, 1)


def test_fineweb_published_cases() -> None:
    three = "one line\nsecond line\nthird line"
    assert "min_terminal_line_ratio" in failed(three, rules(fineweb={"min_terminal_line_ratio": 0.5}))
    short = "hi.\nbye.\nok.\nno.\nyes."
    assert "max_short_line_ratio" in failed(
        short, rules(fineweb={"max_short_line_ratio": 0.5, "min_terminal_line_ratio": 0.0})
    )
    assert failed("\n".join(["a"] * 50), rules(fineweb="on"))


@pytest.mark.parametrize("text", ["", " \n\t ", "\u200b", "\x00"])
def test_empty_is_always_on(text: str) -> None:
    assert failed(text, rules()) == ["empty"]
    assert "empty" in failed(text, RulesConfig())


def test_a_mark_is_not_empty() -> None:
    assert failed("—", rules()) == []


def signals_of(**values: int) -> pa.RecordBatch:
    arrays = [pa.array([values.get(name, 0)], kind) for name, kind in SIGNALS.items()]
    return pa.record_batch(arrays, pa.schema(list(SIGNALS.items())))


# rule -> (signals at the default threshold, one that is changed, its step beyond the threshold)
BASE = {"words": 900, "mark_runs": 100, "characters": 10_000, "marks": 100}
EDGES: dict[str, tuple[dict[str, int], str, int]] = {
    "gopher_quality.min_words": ({"words": 50}, "words", -1),
    "gopher_quality.max_words": ({"words": 100_000}, "words", 1),
    "gopher_quality.min_mean_word_length": ({"word_characters": 2700}, "word_characters", -1),
    "gopher_quality.max_mean_word_length": ({"word_characters": 9000}, "word_characters", 1),
    "gopher_quality.max_hash_ratio": ({"hash_signs": 100}, "hash_signs", 1),
    "gopher_quality.max_ellipsis_ratio": ({"ellipses": 100}, "ellipses", 1),
    "gopher_quality.max_bullet_line_ratio": ({"printed_lines": 100, "bullet_lines": 90}, "bullet_lines", 1),
    "gopher_quality.max_ellipsis_line_ratio": ({"printed_lines": 100, "ellipsis_lines": 30}, "ellipsis_lines", 1),
    "gopher_quality.min_words_with_letter_ratio": ({"words_with_letter": 800}, "words_with_letter", -1),
    "gopher_quality.min_stop_words": ({"stop_words_en": 2}, "stop_words_en", -1),
    "gopher_repetition.max_duplicate_paragraph_ratio": (
        {"paragraphs": 100, "duplicate_paragraphs": 30},
        "duplicate_paragraphs",
        1,
    ),
    "gopher_repetition.max_duplicate_line_ratio": (
        {"text_lines": 100, "duplicate_lines": 30},
        "duplicate_lines",
        1,
    ),
    **{
        f"gopher_repetition.max_{name}": ({signal: round(bound * 10_000)}, signal, 1)
        for name, signal, bound in [
            ("duplicate_paragraph_character_ratio", "duplicate_paragraph_characters", 0.2),
            ("duplicate_line_character_ratio", "duplicate_line_characters", 0.2),
            *((f"top_{n}_gram_ratio", f"top_{n}_gram_characters", 0.24 - 0.02 * n) for n in (2, 3, 4)),
            *((f"duplicate_{n}_gram_ratio", f"duplicate_{n}_gram_characters", 0.2 - 0.01 * n) for n in range(5, 11)),
        ]
    },
    "c4.min_sentences": ({"c4_sentences": 5}, "c4_sentences", -1),
    "c4.max_lorem_ipsum_lines": ({}, "c4_lorem_ipsum_lines", 1),
    "c4.max_curly_bracket_lines": ({}, "c4_curly_bracket_lines", 1),
    "fineweb.min_terminal_line_ratio": ({"filled_lines": 100, "terminal_lines": 12}, "terminal_lines", -1),
    "fineweb.max_short_line_ratio": ({"filled_lines": 100, "short_lines": 67}, "short_lines", 1),
    "fineweb.max_repeated_line_character_ratio": (
        {"characters": 10_100, "line_feeds": 100, "repeated_line_characters": 100},
        "repeated_line_characters",
        1,
    ),
    "fineweb.max_line_feeds_per_word": ({"line_feeds": 300}, "line_feeds", 1),
}


def test_every_rule_has_an_edge() -> None:
    assert set(EDGES) == set(RULE_NAMES) - {"empty", "language"}


@pytest.mark.parametrize("name", EDGES)
def test_exact_threshold_keeps(name: str) -> None:
    edge, signal, step = EDGES[name]
    at = {**BASE, **edge}
    rule_set, _, setting = name.partition(".")
    for values, expected in [
        (at, False),
        ({**at, signal: max(0, at.get(signal, 0) - step)}, False),
        ({**at, signal: at.get(signal, 0) + step}, True),
    ]:
        found = evaluate(signals_of(**values), pa.array(["en"]), rules(**{rule_set: "on"}))
        names = [RULE_NAMES[rule] for rule in found.rule]
        assert (name in names) is expected
        if expected:
            at_rule = names.index(name)
            beyond = found.value[at_rule] > found.threshold[at_rule]
            assert beyond == (step > 0)
            off = evaluate(signals_of(**values), pa.array(["en"]), rules(**{rule_set: {setting: None}}))
            assert name not in [RULE_NAMES[rule] for rule in off.rule]


def test_failures_are_sorted_and_typed() -> None:
    texts = pa.array(["", GOOD, "a a a a", "{"], pa.large_string())
    found = evaluate(measure(texts).signals, pa.array(["en", "en", None, "de"]), RulesConfig(languages=("en",)))
    assert [found.row.dtype, found.rule.dtype, found.value.dtype, found.threshold.dtype] == [
        np.int64,
        np.int32,
        np.float32,
        np.float32,
    ]
    keys = list(zip(found.row.tolist(), found.rule.tolist(), strict=True))
    assert keys == sorted(set(keys))
    assert (3, RULE_NAMES.index("language")) in keys and (2, 1) in keys and (0, 1) not in keys


def test_languages_limit_a_set() -> None:
    config = rules(gopher_quality={"languages": ["de", "fr"]})
    assert failed("too short", config, "en") == []
    assert "min_words" in failed("zu kurz", config, "de")


def test_dictionary_and_chunked_languages() -> None:
    signals = measure(pa.array(["a", "b"], pa.large_string())).signals
    config = rules(languages=["en"])
    plain = pa.array(["en", "de"])
    for languages in (plain, plain.dictionary_encode(), pa.chunked_array([plain.slice(0, 1), plain.slice(1)])):
        assert evaluate(signals, languages, config).row.tolist() == [1]


def test_settings() -> None:
    assert RulesConfig.model_validate_json('{"fineweb": false, "c4": true}').fineweb is None
    config = RulesConfig.model_validate({"fineweb": "off", "gopher_quality": "on", "languages": ["en"]})
    assert config.fineweb is None and config.languages == ("en",)
    assert RulesConfig.model_validate_json(config.model_dump_json()) == config
    with pytest.raises(ValueError, match="min_word"):
        RulesConfig.model_validate({"gopher_quality": {"min_word": 3}})
    with pytest.raises(ValueError, match="one language a row"):
        evaluate(signals_of(), pa.array(["en", "de"]), config)
    with pytest.raises(ValueError, match="words"):
        evaluate(signals_of().drop_columns(["words"]), pa.array(["en"]), config)


LANGUAGE_RULES = {
    "gopher_quality.min_mean_word_length",
    "gopher_quality.max_mean_word_length",
    "gopher_quality.min_stop_words",
    "gopher_quality.min_words",
    "gopher_repetition.max_top_2_gram_ratio",
    "gopher_repetition.max_top_3_gram_ratio",
    "c4.min_sentences",
    "fineweb.max_short_line_ratio",
    "fineweb.max_line_feeds_per_word",
}
SCRIPTS = {"uk": "а-яіїє", "ru": "а-я", "el": "α-ω", "es": "a-z", "ja": "ぁ-ん", "zh": "一-龥", "ko": "가-힣"}


@NEEDS_SHARED
@pytest.mark.parametrize("language", SCRIPTS)
def test_other_languages_are_not_thrown_away(language: str) -> None:
    """Documentation of one project in eight languages: rules tuned on English drop at most 5 % of it."""
    texts = []
    letter = re.compile(f"[{SCRIPTS[language]}]")
    path = SHARED / "corpus" / "01-helm-www.jsonl.zst"
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as stream:
        for line in io.TextIOWrapper(stream, encoding="utf-8"):
            record = json.loads(line)
            text = record["text"]
            # some pages are not translated yet
            if record["lang"] == language and len(text) > 2500 and len(letter.findall(text)) > 0.15 * len(text):
                texts.append(text)
    assert len(texts) >= 15
    measured = measure(pa.array(texts, pa.large_string())).signals
    for label in (language, None):  # known and unknown language
        found = evaluate(measured, pa.array([label] * len(texts), pa.string()), RulesConfig())
        counts = Counter(RULE_NAMES[rule] for rule in found.rule)
        dropped = {name: counts[name] for name in LANGUAGE_RULES if counts[name] > 0.05 * len(texts)}
        if label is None and language == "ko":
            for name in ("gopher_quality.min_mean_word_length", "fineweb.max_short_line_ratio"):
                dropped.pop(name, None)  # only the label tells Korean
        assert not dropped, (len(texts), dropped)
