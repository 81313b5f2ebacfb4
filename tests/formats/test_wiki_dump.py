"""The recipe for Wikipedia on a real dump of Wikipedia, whose pages gensim finds, too."""

import shutil
from pathlib import Path

import pytest

from tests.formats.peers import read_with
from tests.support.commands import winnow
from winnow import open as opened
from winnow.config.load import load_config
from winnow.runs.run import run

pytestmark = [pytest.mark.slow, pytest.mark.formats]


def test_the_recipe_takes_the_articles_that_gensim_finds(tmp_path):
    found = read_with("gensim", "read_gensim", tmp_path / "out")
    (tmp_path / "dumps").mkdir()  # under a name as the parts of a dump have it: this one ends in "-shortened"
    shutil.copy(Path(str(found["path"])), tmp_path / "dumps/enwiki-latest-pages-articles1.xml-p10p30302.bz2")
    assert winnow("init", str(tmp_path / "wiki.yaml"), "--recipe", "wikipedia")[0] == 0
    changes = [
        f"run={tmp_path / 'run'}",
        f"sources.0.path={tmp_path}/dumps/*-pages-articles*.xml*.bz2",
        "compute.executor=inline",
        "report=off",
        "documents.formats=[parquet]",
        "documents.columns=[title]",
    ]
    finished = run(load_config(str(tmp_path / "wiki.yaml"), changes)).run
    told = finished.manifest["sources"]["wikipedia"]["no_documents"]
    assert told["redirect"] == int(found["redirects"].sum()) == 99
    articles = found["ids"][~found["redirects"]].tolist()
    outcomes = finished.totals(finished.ledger_stage, "outcome")
    assert sum(outcomes.values()) == len(articles) and outcomes["kept"] >= 0.9 * len(articles)
    documents = opened(str(tmp_path / "run")).table("documents").to_table(columns=["id"]).to_pydict()["id"]
    assert sorted(documents) == sorted(articles), outcomes
