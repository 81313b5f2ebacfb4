"""Sequence classifiers: equal to transformers, one text at a time whatever stands beside it."""

import random

import numpy as np
import pyarrow as pa
import pytest

from tests.support.classifiers import KINDS, WORDS, outputs_of, save_classifier
from winnow.select.classifier import TextClassifier, inspect_classifier, row_widths


def texts_of(number: int = 24) -> list[str]:
    draw = random.Random(5)
    texts = [" ".join(draw.choices([*WORDS, "other"], k=draw.randrange(1, 90))) for _ in range(number)]
    return [*texts, "", "w1", "w2 " * 300]


def asked(folder: str, texts: list[str], one_by_one: bool = True, score="raw", outputs=(0, 1, 2), **settings):
    classifier = TextClassifier(
        inspect_classifier(folder, score), settings.get("max_tokens"), settings.get("precision", "fp32"), 300
    )
    classifier.one_by_one = one_by_one
    return classifier(pa.array(texts, pa.large_string()), list(outputs))


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(KINDS))
def test_outputs_are_those_of_transformers(tmp_path, kind):
    folder = save_classifier(tmp_path, kind)
    texts = texts_of()
    most = inspect_classifier(folder).model.max_tokens
    expected = outputs_of(folder, texts, most)
    np.testing.assert_allclose(asked(folder, texts), expected, rtol=0, atol=2e-5)
    np.testing.assert_allclose(asked(folder, texts, one_by_one=False), expected, rtol=0, atol=1e-4)
    short = outputs_of(folder, texts, 12)
    np.testing.assert_allclose(asked(folder, texts, max_tokens=12), short, rtol=0, atol=2e-5)
    assert np.ptp(expected[:, 0]) > 0.1


@pytest.mark.parametrize("one_by_one", [True, False])
def test_a_text_s_scores_do_not_depend_on_its_neighbours(tmp_path, one_by_one):
    folder, texts = save_classifier(tmp_path), texts_of()
    together = asked(folder, texts, one_by_one)
    some = [3, 25, 0, 26, 17]
    np.testing.assert_array_equal(asked(folder, [texts[n] for n in some], one_by_one), together[some])
    np.testing.assert_array_equal(asked(folder, texts[::-1], one_by_one)[::-1], together)


def test_what_the_numbers_are(tmp_path):
    folder, texts = save_classifier(tmp_path / "three"), texts_of(4)
    raw = outputs_of(folder, texts, 66)
    powers = np.exp(raw)
    np.testing.assert_allclose(asked(folder, texts, score="auto"), powers / powers.sum(1)[:, None], rtol=0, atol=1e-5)
    np.testing.assert_allclose(asked(folder, texts, score="sigmoid"), 1 / (1 + 1 / powers), rtol=0, atol=1e-5)
    several = save_classifier(tmp_path / "several", problem_type="multi_label_classification")
    assert inspect_classifier(several).score == "sigmoid"
    one = save_classifier(tmp_path / "one", labels=("LABEL_0",))
    assert inspect_classifier(one).score == "raw"
    np.testing.assert_allclose(
        asked(one, texts, outputs=[0], score="auto"), outputs_of(one, texts, 66), rtol=0, atol=2e-5
    )


def test_rows_have_few_lengths_and_none_is_shorter_than_its_text():
    lengths = np.arange(1, 9000)
    widths = row_widths(lengths)
    assert (widths >= lengths).all() and len(np.unique(widths)) < 70
    assert (widths[lengths >= 128] <= 1.13 * lengths[lengths >= 128] + 1).all()
    assert (np.diff(widths) >= 0).all() and (row_widths(widths) == widths).all()
