"""The quality head against scikit-learn; what is held out; the curve against counts by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.errors import ExamplesError
from winnow.select.logistic import fit_line, probability
from winnow.select.quality import (
    BINS,
    GRID,
    Head,
    fit_head,
    histogram,
    quality_log_weights,
    share_kept,
    usable_examples,
    validate,
)
from winnow.select.vectors import stored_vectors


def examples(count: int, dimensions: int, seed: int = 0, distance: float = 0.5):
    rng = np.random.default_rng(seed)
    positive = rng.random(count) < 0.3
    vectors = rng.normal(size=(count, dimensions)) + distance * positive[:, None] * rng.normal(size=dimensions)
    return stored_vectors(vectors), positive


@pytest.mark.parametrize(("count", "l2"), [(400, 1.0), (400, 0.01), (30, 0.1), (400, 100.0)])
def test_the_fit_equals_scikit_learn(count, l2):
    linear = pytest.importorskip("sklearn.linear_model", reason="needs scikit-learn (extra `dev`)")
    vectors, positive = examples(count, 24)
    line = fit_line(vectors, positive, l2)
    assert line.converged
    theirs = linear.LogisticRegression(C=1 / l2, class_weight="balanced", tol=1e-10, max_iter=10_000)
    theirs.fit(vectors.astype(np.float64), positive)
    assert np.abs(line.weights - theirs.coef_[0]).max() < 1e-4 * np.abs(theirs.coef_).max()
    assert line.bias == pytest.approx(theirs.intercept_[0], abs=1e-4)


def test_figures_equal_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn (extra `dev`)")
    rng = np.random.default_rng(3)
    positive = rng.random(500) < 0.4
    quality = np.round(np.clip(rng.normal(0.4 + 0.2 * positive, 0.2), 0, 1), 2)  # with ties, also at thresholds
    found = validate(quality, positive)
    assert found.auc == pytest.approx(metrics.roc_auc_score(positive, quality))
    for place, threshold in enumerate(GRID):
        taken = quality >= threshold
        assert found.recall[place] == pytest.approx(metrics.recall_score(positive, taken))
        if taken.any():
            assert found.precision[place] == pytest.approx(metrics.precision_score(positive, taken))
        else:
            assert np.isnan(found.precision[place])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.floats(0, 1), st.sampled_from([*GRID.tolist(), float("nan")])), max_size=200))
def test_the_share_kept_is_what_the_threshold_keeps(values):
    quality = np.array(values, np.float64)
    counts = histogram(quality)
    assert len(counts) == BINS
    known = quality[~np.isnan(quality)]
    assert counts.sum() == len(known)
    expected = [(known >= threshold).sum() / max(1, len(known)) for threshold in GRID]
    assert share_kept(counts).tolist() == pytest.approx(expected)


def test_separable_examples_and_one_class():
    vectors = stored_vectors(np.array([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.1], [-1.0, -0.1]] * 10))
    positive = np.array([True, True, False, False] * 10)
    head, converged = fit_head(vectors, positive, 1e-6)
    assert converged
    assert np.isfinite(head.weights).all()
    assert validate(head.judge(vectors), positive).auc == 1.0
    with pytest.raises(ValueError, match="both classes"):
        fit_line(vectors, np.ones(40, bool), 1.0)


def test_a_head_comes_back_from_json_to_the_last_bit_and_leaves_documents_without_vector_alone():
    vectors, positive = examples(200, 16)
    vectors[7] = 0
    head, _ = fit_head(np.delete(vectors, 7, axis=0), np.delete(positive, 7), 0.3)
    again = Head.from_json(head.to_json())
    judged = head.judge(vectors)
    assert np.isnan(judged[7])
    assert np.array_equal(judged, again.judge(vectors), equal_nan=True)
    # a document is judged the same wherever it stands
    assert np.array_equal(head.judge(vectors[50:]), judged[50:], equal_nan=True)
    assert np.array_equal(np.concatenate([head.judge(v[None]) for v in vectors]), judged, equal_nan=True)


def hashes(names: list[int]) -> np.ndarray:
    return np.stack([np.array(names, np.uint64), np.full(len(names), 9, np.uint64)], axis=1)


def test_texts_count_once_and_contradictions_never():
    names = [*range(40), 0, 1, 39, 5]
    positive = np.array([*[True] * 20, *[False] * 20, True, True, False, False])  # 5 is in both classes
    with_vector = np.ones(44, bool)
    with_vector[10] = False
    usable = usable_examples(positive, hashes(names), with_vector, 0.25, 0)
    assert usable.left_aside == {"in_both": 2, "repeated": 3, "without_vector": 1}
    assert not (usable.training & usable.validation).any()
    used = usable.training | usable.validation
    assert not used[[5, 43, 10, 40, 41, 42]].any()
    assert used.sum() == 38
    assert usable.validation[:20].sum() == round(18 * 0.25)
    assert usable.validation[20:].sum() == round(20 * 0.25)
    # who is held out depends on texts and the seed alone
    order = np.random.default_rng(1).permutation(44)
    shuffled = usable_examples(positive[order], hashes(names)[order], with_vector[order], 0.25, 0)
    assert set(hashes(names)[usable.validation, 0]) == set(hashes(names)[order][shuffled.validation, 0])
    other = usable_examples(positive, hashes(names), with_vector, 0.25, 1)
    assert not np.array_equal(usable.validation, other.validation)


@pytest.mark.parametrize(("good", "bad", "named"), [(0, 50, "positive: 0"), (50, 9, "negative: 9"), (0, 0, "positive")])
def test_too_few_examples_are_told(good, bad, named):
    positive = np.array([True] * good + [False] * bad, bool)
    with pytest.raises(ExamplesError, match=f"select.quality.{named}"):
        usable_examples(positive, hashes(list(range(good + bad))), np.ones(good + bad, bool), 0.2, 0)


def test_weights_in_the_draw_are_finite_odds():
    quality = np.array([0.0, 0.2, 0.5, np.nan, 1.0])
    weights = quality_log_weights(quality, 0.5)
    assert np.isfinite(weights).all()
    assert weights[1] == pytest.approx(2 * np.log(0.25))
    assert weights[2] == weights[3] == 0
    assert (np.diff(weights[[0, 1, 2, 4]]) > 0).all()


def test_probability_does_not_overflow():
    assert probability(np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]
