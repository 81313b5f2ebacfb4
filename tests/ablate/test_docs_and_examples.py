"""The plans of docs/ablate.md and of examples/ are plans, and the first one of the page runs."""

import json
import re
from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch", reason="torch is not installed (extra `ablate`)")
pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra `ablate`)")

from tests.ablate.plans import write_plan
from winnow.ablate.ablate import ablate
from winnow.ablate.plan import Plan, load_plan
from winnow.ablate.search_plan import SearchPlan
from winnow.ablate.sizes import SIZES
from winnow.config.load import load_config

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ablate.md").read_text()
SHOWN = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
EXAMPLES = [path for name in ("ablate_*", "mixture_*") for path in sorted((ROOT / "examples").glob(f"{name}.yaml"))]


def kind_of(plan):
    return SearchPlan if "arms" not in plan else Plan


@pytest.mark.parametrize("text", SHOWN)
def test_plans_of_the_page_can_be_read_and_their_bases_are_there(text, tmp_path):
    (tmp_path / "plan.yaml").write_text(text)
    plan = load_plan(str(tmp_path / "plan.yaml"), kind_of(yaml.safe_load(text)))
    assert load_config(str(ROOT / plan.base)).sources


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_can_be_read_and_judge_by_what_they_do_not_read(path):
    if "base" in path.stem:
        assert load_config(str(path)).shards.sequence_tokens == 256
        return
    text = path.read_text()
    plan = load_plan(str(path), kind_of(yaml.safe_load(text)))
    assert f"examples/{path.name}" in text and f"examples/{path.name}" in PAGE
    read = {one for source in load_config(str(ROOT / plan.base)).sources for one in source.paths}
    assert not read & {entry.path for entry in plan.evaluate.sets}
    assert "importance" not in text or "03-rust-book" not in str([entry.path for entry in plan.evaluate.sets])
    assert plan.train.seeds >= 4


def test_the_table_of_sizes_is_the_codes():
    rows = re.findall(r"^\| ([\d.]+M) \| (\d+), (\d+), (\d+) \| ([\d,]+) \|$", PAGE, re.MULTILINE)
    told = {name: tuple(int(n.replace(",", "")) for n in numbers) for name, *numbers in rows}
    assert told == {name: tuple(size) for name, size in SIZES.items()}


@pytest.mark.slow
def test_the_first_plan_of_the_page_runs(tmp_path):
    base = json.loads(write_plan(tmp_path).read_text())["base"]
    values = yaml.safe_load(SHOWN[0]) | {"ablation": str(tmp_path / "ablation"), "base": base}
    values |= {"vocabulary": {"size": 300}, "compute": {"executor": "inline"}}
    # made-up words pass no rule: so the second arm has other shards by another seed
    values["arms"][1]["settings"] = {"shards.seed": 8}
    values["train"] = {"tokens": 8192, "seeds": 2}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(values))
    found = ablate(load_plan(str(tmp_path / "plan.yaml"), Plan))
    assert set(found.sets) == {"val/ka", "val/su"}
    assert {row.arm for row in found.results.rows} == {"as_is", "filtered"}
