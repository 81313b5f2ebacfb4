"""Plans that cannot be done are refused, with the file and the setting; those that can have their defaults."""

import pytest

from tests.ablate.plans import write_plan
from winnow.ablate.plan import Plan, load_plan
from winnow.errors import ConfigError


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"arms": []}, "arms"),
        ({"arms": [{"name": "a"}, {"name": "a"}]}, "two arms are named 'a'"),
        ({"arms": [{"name": "a", "run": "x", "shards": "y"}]}, "one of them"),
        ({"baseline": "c"}, "there is no arm 'c'"),
        ({"evaluate": {}}, "name sets or choices"),
        ({"evaluate": {"sets": [{"name": "a"}]}}, "give path, run or arm"),
        ({"evaluate": {"sets": [{"name": "a", "arm": "none"}]}}, "no arm of settings named 'none'"),
        ({"train": {"tokens": 5, "epochs": 1.0}}, "one of the two"),
        ({"model": {"width": 30, "heads": 4}}, "multiple of twice heads"),
        ({"base": None}, "need `base`"),
        ({"steps": 3}, "steps"),
    ],
)
def test_plans_that_cannot_be_done_are_refused(tmp_path, change, says):
    path = write_plan(tmp_path, **change)
    with pytest.raises(ConfigError) as told:
        load_plan(str(path), Plan)
    assert says in str(told.value) and str(path) in str(told.value)


def test_what_is_not_given_is_told_by_the_size_and_two_million_tokens(tmp_path):
    plan = load_plan(str(write_plan(tmp_path, model={"size": "10M"}, train={})), Plan, ["train.seeds=8"])
    assert plan.train.equal_tokens == 2_000_000 and plan.train.seeds == 8 and plan.against == "both"
    assert (plan.model.shape.layers, plan.model.shape.width) == (10, 256)
    assert load_plan(str(write_plan(tmp_path, train={"epochs": 1.5})), Plan).train.equal_tokens is None
