"""``measure.language.model`` in runs: rules, summary, what is computed again, what is refused."""

import hashlib
import random

import pytest

from tests.operators.runs import computed, config, done, shards, signals, write_input
from tests.support.commands import winnow
from tests.support.fasttext_models import PLAIN, library, predicted
from tests.support.small_work import many_units
from winnow.audit.dedup import SampleSizes, audit_dedup
from winnow.errors import ConfigError
from winnow.flow.measure import STEP

WORDS = {name: [f"{name[:2]}{n}x" for n in range(60)] for name in ("eng_Latn", "deu_Latn", "gaz_Latn")}
MODEL = {"model": "models/lid.bin", "min_probability": 0.8}


@pytest.fixture
def folder(tmp_path):
    """A model beside the config, and texts of which each is mostly in one of its languages, some near-duplicates."""
    draw = random.Random(3)
    lines = [f"__label__{name} {' '.join(draw.choices(words, k=9))}\n" for name, words in WORDS.items()] * 60
    (tmp_path / "lines.txt").write_text("".join(lines))
    (tmp_path / "models").mkdir()
    library().train_supervised(str(tmp_path / "lines.txt"), **PLAIN).save_model(str(tmp_path / "models/lid.bin"))
    texts = []
    for n in range(40):
        one, other = draw.sample(list(WORDS.values()), 2)
        words = [*draw.choices(one, k=60 + n % 3 * 20), *draw.choices(other, k=9 * (n % 9))]
        texts.append(" ".join(draw.sample(words, len(words))))
    write_input(tmp_path, [*texts, *(f"{text} and more" for text in texts[::8]), "12 34", "--"])
    return tmp_path


def test_rules_summary_and_guard_go_by_the_model(folder):
    path = config(folder, [], measure={"language": MODEL}, filter={"languages": ["en", "om"]})
    context, finished = done(path)
    reference = library().load_model(str(folder / "models/lid.bin"))
    codes, expected = {"__label__eng_Latn": "en", "__label__deu_Latn": "de", "__label__gaz_Latn": "om"}, {}
    for name, row in signals(finished).items():
        ((probability, label),) = predicted(reference, row["text"][:500], 1)
        expected[name] = "zxx" if not any(map(str.isalpha, row["text"])) else codes[label]
        if expected[name] != "zxx" and probability < 0.8:
            expected[name] = "und"
    assert {name: row["language"] for name, row in signals(finished).items()} == expected
    assert set(expected.values()) == {"en", "de", "om", "und", "zxx"}
    others = sum(code not in ("en", "om") for code in expected.values())
    assert finished.totals("filter", "failed")["language"] == others
    unsure = sum(code == "und" for code in expected.values())
    sha256 = hashlib.sha256((folder / "models/lid.bin").read_bytes()).hexdigest()
    assert f"languages by lid.bin (SHA-256 {sha256}): {unsure} documents are und" in " ".join(STEP.summary(finished))
    assert finished.total("decide", "outcome/near_duplicate") > 0
    audit = audit_dedup(finished, SampleSizes(documents=30, removed=30, planted=5), 0)
    assert audit.guaranteed and audit.removed.near.of
    (folder / "models/lid.bin").unlink()
    again, _ = done(folder / "run" / "config.yaml")  # names what the run folder holds
    assert not computed(again)


@pytest.mark.slow
def test_bytes_do_not_depend_on_units_and_another_setting_measures_again(folder, monkeypatch):
    _, one = done(config(folder, [], measure={"language": MODEL}, name="one"))
    changed, _ = done(config(folder, [], measure={"language": {**MODEL, "min_probability": 0.0}}, name="one"))
    assert "measure" in computed(changed)
    many_units(monkeypatch)
    _, many = done(config(folder, [], measure={"language": MODEL}, name="many"))
    assert len(many.of("measure")) > 1 == len(one.of("measure"))
    assert shards(one) == shards(many)


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ({"model": "models/none.bin"}, r"none\.bin: No such file"),
        ({"model": "models"}, "Is a directory"),
        ({"model": "web.jsonl"}, "is no fastText model"),
        ({"model": "models/two.bin"}, r"label 'hq' is no code of a language; expected such as en, eng or eng_Latn"),
        ({"min_probability": 0.5}, "min_probability is for a `model`"),
        ({"model": "models/lid.bin", "pinned": "00"}, r"is not what `pinned` names \(00\)"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(folder, language, message):
    lines = folder / "lines.txt"
    lines.write_text("__label__hq a b c\n__label__cc d e f\n" * 30)
    library().train_supervised(str(lines), **PLAIN).save_model(str(folder / "models/two.bin"))
    with pytest.raises(ConfigError, match=message):
        done(config(folder, [], measure={"language": language}))
    assert not (folder / "run").exists()


def test_a_language_that_the_model_has_not_and_a_model_that_was_cut_short_end_the_command_with_code_2(folder):
    code, said = winnow("run", str(config(folder, [], measure={"language": MODEL}, filter={"languages": ["fr"]})))
    assert code == 2 and "no document is ever found to be 'fr'" in said and "(of the model lid.bin)" in said
    whole = (folder / "models/lid.bin").read_bytes()
    (folder / "models/lid.bin").write_bytes(whole[:-100])
    code, said = winnow("run", str(config(folder, [], measure={"language": MODEL})))
    assert code == 2 and "lid.bin: was cut short, or is damaged" in said and "Traceback" not in said
