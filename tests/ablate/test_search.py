"""The regression finds the best mixture of a law that is known; a whole search finds the language that is judged."""

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed (extra `ablate`)")
pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra `ablate`)")

from tests.ablate.plans import write_plan
from winnow.ablate.plan import load_plan
from winnow.ablate.regression import draw, predict
from winnow.ablate.search import search_mixture, tokens_of_arm
from winnow.ablate.search_plan import SearchPlan
from winnow.ablate.search_report import as_json, search_notes, search_tables
from winnow.errors import ConfigError


def test_mixtures_are_drawn_evenly_from_those_that_can_be_reached():
    most = np.array([1.0, 0.5, 0.9])
    drawn = draw(4000, most, 3)
    assert drawn.shape == (4000, 3) and np.allclose(drawn.sum(1), 1) and (drawn <= most).all() and (drawn >= 0).all()
    assert np.array_equal(drawn, draw(4000, most, 3)) and not np.array_equal(drawn, draw(4000, most, 4))
    free = draw(20_000, np.ones(3), 1)
    assert free.mean(0) == pytest.approx([1 / 3] * 3, abs=0.01)
    assert np.var(free[:, 0]) == pytest.approx(2 / (9 * 4), rel=0.05)  # of a flat Dirichlet distribution
    with pytest.raises(ValueError, match="can be reached"):
        draw(8, np.array([0.3, 0.3, 0.3]), 1)


@pytest.mark.parametrize("noise", [0.0, 0.003])
def test_the_best_mixture_of_a_known_law_is_found(noise):
    """Each source lowers the loss as the logarithm of its share, so the best shares are the weights."""
    weights = np.array([0.6, 0.3, 0.1])

    def law(shares):
        return 2.0 - 0.2 * np.log(shares + 0.01) @ weights

    shares, candidates = draw(24, np.ones(3), 1), draw(5000, np.ones(3), 2)
    measured = law(shares) + np.random.default_rng(5).normal(0, noise, 24)
    natural = np.array([0.05, 0.15, 0.8])
    found = predict(shares, measured, natural, candidates, 7)
    assert found.regression == "linear" and found.errors["linear"] < found.errors["boosting"]
    assert found.best == pytest.approx(weights, abs=0.08) and found.best.sum() == pytest.approx(1)
    assert found.gain == pytest.approx(law(natural[None])[0] - law(found.best[None])[0], abs=0.02)
    assert found.gain_low <= found.gain <= found.gain_high and (found.low <= found.high).all()
    assert found.rank_correlation > 0.95


def test_errors_are_of_mixtures_that_were_left_out():
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.model_selection import LeaveOneOut, cross_val_predict

    shares = draw(12, np.ones(3), 1)
    measured = np.random.default_rng(2).normal(1.0, 0.1, 12)  # nothing to be learned
    found = predict(shares, measured, np.full(3, 1 / 3), draw(100, np.ones(3), 2), 7)
    model = GradientBoostingRegressor(n_estimators=80, learning_rate=0.1, max_depth=2, random_state=0)
    expected = cross_val_predict(model, shares, measured, cv=LeaveOneOut())
    assert found.errors["boosting"] == pytest.approx(float(np.sqrt(np.mean((expected - measured) ** 2))))


def test_a_law_with_a_step_is_left_to_boosting():
    shares, candidates = draw(30, np.ones(3), 1), draw(500, np.ones(3), 2)
    found = predict(shares, np.where(shares[:, 0] > 0.4, 1.0, 2.0), np.full(3, 1 / 3), candidates, 7)
    assert found.regression == "boosting" and found.best[0] > 0.4


def test_an_arm_holds_more_than_is_read_where_its_sources_have_it():
    """Ten times, and no text twice, but as much as is read where that is more than there is."""
    once = np.array([4000.0, 1000.0, 0.0])
    assert tokens_of_arm(np.array([0.8, 0.2, 0.0]), once, 100) == 1000
    assert tokens_of_arm(np.array([0.8, 0.2, 0.0]), once, 1000) == 5000
    assert tokens_of_arm(np.array([0.2, 0.8, 0.0]), once, 2000) == 2000


def write_search(folder, **sections):
    path = write_plan(folder)
    plan = json.loads(path.read_text())
    del plan["arms"]
    plan["train"] |= {"tokens": 6_000, "seeds": 2}
    path.write_text(json.dumps({**plan, "runs": 8, **sections}))
    return path


@pytest.mark.slow
def test_a_search_finds_the_language_that_is_judged_and_does_nothing_twice(tmp_path, monkeypatch):
    path = write_search(tmp_path, goal={"held/ka": 1.0, "held/su": 0.0})
    found = search_mixture(load_plan(str(path), SearchPlan))
    assert found.sources == ("ka", "su") and len(found.shares) == 8
    assert np.corrcoef(found.shares[:, 0], found.measured)[0, 1] < 0
    assert found.predicted.best[0] > 0.6 and found.predicted.gain > 0
    content = json.loads(as_json(found))
    assert sum(content["mixture"].values()) == pytest.approx(1, abs=1e-3)
    assert content["measured_gain"] is not None and "8 mixtures and 2 seeds" in content["cost"]
    assert "measured:" in " ".join(search_notes(found)) and len(search_tables(found)) == 2
    from winnow.ablate import trial

    monkeypatch.setattr(trial, "train", None)
    again = search_mixture(load_plan(str(path), SearchPlan))
    assert json.loads(as_json(again))["tried"] == content["tried"]
    assert json.loads(as_json(again))["mixture"] == content["mixture"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"base": None, "vocabulary": None}, "`base` is missing"),
        ({"train": {"epochs": 1.0}}, "equal tokens"),
        ({"evaluate": {"choices": ["a.jsonl"]}}, "name some"),
        ({"goal": {"held": -1.0}}, "at least 0"),
        ({"arms": [{"name": "a"}]}, "arms"),
    ],
)
def test_plans_of_searches_that_cannot_be_done_are_refused(tmp_path, change, says):
    path = write_search(tmp_path, **change)
    with pytest.raises(ConfigError) as told:
        load_plan(str(path), SearchPlan)
    assert says in str(told.value)
