"""Full-width forms and curly quotes stay where the document is Chinese, Japanese or Korean."""

import json

import numpy as np
import pyarrow as pa
import pytest

from tests.support.configs import run_config, source_of
from winnow.config.config import parse_config
from winnow.flow.measure import STEP
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.stages.tables import read_parquet
from winnow.text.normalise.cjk import in_cjk
from winnow.text.normalise.config import NormaliseConfig
from winnow.text.normalise.normalise import Normaliser

CHINESE = "他说：“你好，世界！（真的？）”；价格是１００元。"
JAPANESE = "「テスト！」と言った（１０分後）。ﾃｽﾄ。"
KOREAN = "그는 “안녕하세요！”（정말？）라고 말했다."
OTHER = "He said: “Hello，world！” （１００）"
PLAIN = 'He said: "Hello,world!" (100)'
DEFAULT = Normaliser(NormaliseConfig())


def column(*texts: str) -> pa.Array:
    return pa.array(texts, pa.large_string())


@pytest.mark.parametrize("text", [CHINESE, JAPANESE, KOREAN])
def test_forms_of_the_language_stay(text: str) -> None:
    result = DEFAULT(column(text, OTHER, "x", text + "\r\n", text + " (see https://example.org/docs)"))
    kept = [text, PLAIN, "x", text + "\n", text + " (see https://example.org/docs)"]
    assert result.texts.to_pylist() == kept and result.cjk_documents == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ｔｏｋｙｏ，“the 東 capital” of Japan", 'Tokyo,"the 東 capital" of Japan'),  # a word of another language
        ("（１２３）", "(123)"),  # no letter at all
        ("Прайс：“１００”", 'Прайс:"100"'),
        ("", ""),
    ],
)
def test_other_documents_are_repaired_as_by_ftfy(text: str, expected: str) -> None:
    assert DEFAULT(column(text)).texts.to_pylist() == [expected]


def test_mojibake_and_entities_of_chinese_are_chinese() -> None:
    broken = CHINESE.replace("“", "").replace("”", "").encode().decode("latin-1")
    entities = "".join(f"&#{ord(c)};" for c in CHINESE)
    result = DEFAULT(column(broken, OTHER, entities))
    assert result.texts.to_pylist() == [CHINESE.replace("“", "").replace("”", ""), PLAIN, CHINESE]
    assert result.cjk_documents == 2


def test_options_that_are_asked_for_hold_everywhere() -> None:
    always = Normaliser(NormaliseConfig(fix_character_width=True, uncurl_quotes=True))
    assert always(column(CHINESE)).texts.to_pylist() == ['他说:"你好,世界!(真的?)";价格是100元。']
    quotes = Normaliser(NormaliseConfig(uncurl_quotes=True))
    assert quotes(column(CHINESE)).texts.to_pylist() == ['他说："你好，世界！（真的？）"；价格是１００元。']
    never = Normaliser(NormaliseConfig(fix_character_width=False, uncurl_quotes=False))
    assert never(column(OTHER)).texts.to_pylist() == [OTHER]
    assert always(column(CHINESE)).cjk_documents == 0


def test_parts_go_by_their_document() -> None:
    parts = column("（１）ＯＫ！", CHINESE, "（１）ＯＫ！", "Hello")
    result = DEFAULT(parts, np.array([0, 0, 1, 1]))
    assert result.texts.to_pylist() == ["（１）ＯＫ！", CHINESE, "(1)OK!", "Hello"] and result.cjk_documents == 1
    assert DEFAULT(column(), np.array([], np.int64)).texts.to_pylist() == []


def test_a_document_does_not_depend_on_its_batch() -> None:
    texts = [CHINESE, OTHER, KOREAN, "x", CHINESE.encode().decode("latin-1"), "", JAPANESE] * 5
    together = DEFAULT(column(*texts)).texts.to_pylist()
    assert together == [DEFAULT(column(text)).texts[0].as_py() for text in texts]
    assert DEFAULT(column(*texts).slice(2, 4)).texts.to_pylist() == together[2:6]


def test_the_share_is_one_letter_in_twenty() -> None:
    texts = ("日" + "a" * 19, "日" + "a" * 20, "日" + "." * 500, "abc", "", "ｶ" + "я" * 19, "한" + "é" * 20)
    assert in_cjk(column(*texts)).tolist() == [True, False, True, False, False, True, False]


def test_a_run_says_and_counts_it(tmp_path) -> None:
    chat = [{"role": "user", "content": CHINESE}, {"role": "assistant", "content": "（１）ＯＫ！"}]
    (tmp_path / "chats.jsonl").write_text(json.dumps({"talk": chat}) + "\n")
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in (CHINESE, OTHER, KOREAN)))
    config = run_config(
        tmp_path / "run",
        source_of(tmp_path / "chats.jsonl", "chats", messages="talk"),
        source_of(tmp_path / "texts.jsonl", "texts"),
        shards={"splits": {}},
    )
    run(parse_config(config))
    finished = load_run(config["run"])
    assert any(
        line.startswith("3 documents in Chinese, Japanese or Korean keep full-width") for line in STEP.summary(finished)
    )
    texts = [
        text for part in finished.parts for text in read_parquet(finished.store, part.documents)["text"].to_pylist()
    ]
    assert "（１）ＯＫ！" in texts[0] and texts[1:] == [CHINESE, PLAIN, KOREAN]
