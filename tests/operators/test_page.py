"""docs/extending.md, run: every addition of a user's own through a whole run, each in the file that the page shows."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.conftest import ROOT
from tests.operators import docs_files
from tests.operators.runs import done, failures, signals, write_input
from tests.support.commands import winnow
from tests.support.corpora import articles
from winnow.audit.verify.verify import check_work, recount
from winnow.finished.explain import examples, explain, find
from winnow.schemas import KEPT

BANNER = "We use cookies to improve your experience."
EMOJI = "\U0001f600"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    docs_files.write(folder)
    (folder / "acme_rules.py").unlink()  # it is to come from a package, not from the current folder
    found = [text for text in dict.fromkeys(articles(5, 40)) if len(text) > 200][:40]
    found[0] += EMOJI * 300
    found[1] += " Sign in. sign in! SIGN IN?"
    found[2] = f"{BANNER} {found[2]} {BANNER}"
    found[3] = "Far too short."
    found += [f"{found[n]}\n--\nA. Body, a.body@example.org" for n in (5, 6, 7, 8)]  # some of them are kept
    urls = [f"https://example.com/{n}" for n in range(len(found))]
    urls[4] = "https://example.com/login/now"
    write_input(folder, found, url=urls)
    rng = np.random.default_rng(1)
    words = sorted({word for text in found for word in text.lower().split()})
    weights = dict(zip(words, rng.random(len(words)).tolist(), strict=True))
    (folder / "edu.json").write_text(json.dumps({"hq": weights}))
    return folder


@pytest.fixture(scope="module")
def finished(folder):
    working = Path.cwd()
    os.chdir(folder)  # the page's paths of run and source are relative
    try:
        yield done(folder / "config.yaml")[1]
    finally:
        os.chdir(working)


def why(finished, name: str) -> str:
    code, output = winnow("why", name, finished.store.root)
    assert code == 0
    return output


def test_the_page_names_every_file_once():
    names = [name for _, name, _ in docs_files._BLOCK.findall(docs_files.PAGE.read_text())]
    assert len(names) == len(set(names))
    expected = {
        "config.yaml",
        "emoji.py",
        "cookie_banner.py",
        "login_pages.py",
        "edu.py",
        "signatures.py",
        "paragraphs.py",
    }
    assert {*expected, "acme_rules.py", "pyproject.toml"} == set(names)


def test_a_signal_reaches_the_tables_the_rules_and_why(finished):
    row = signals(finished)["web0"]
    share = row["text"].count(EMOJI) / len(row["text"])
    assert row["emoji_ratio"] == pytest.approx(share, rel=1e-6)
    assert share > 0.05
    value, threshold = failures(finished)["web0"]["max_emoji_ratio"]
    assert (value, threshold) == (row["emoji_ratio"], pytest.approx(0.05))
    told = why(finished, "web0")
    assert f"signal     emoji_ratio: {value:.6g}" in told
    assert f"rule       max_emoji_ratio: value {value:.6g}, threshold 0.05" in told
    assert "outcome    filtered" in told


def test_a_mapper_changes_the_text_before_anything_is_counted(finished):
    rows = signals(finished)
    assert all(BANNER not in row["text"] for row in rows.values())
    assert rows["web2"]["characters"] == len(rows["web2"]["text"])
    counts = finished.manifest["operators"]["strip_cookie_banner"]
    assert counts["documents"] == len(rows)
    assert counts["changed"] == 1
    assert counts["bytes_before"] - counts["bytes_after"] == 2 * len(BANNER) + 2
    assert BANNER not in why(finished, "web2")


def test_a_filter_refuses_by_its_name(finished):
    failed = failures(finished)
    assert failed["web1"]["no_login_pages"] == failed["web4"]["no_login_pages"] == (0, 1)
    assert "no_login_pages" not in failed["web5"]
    assert explain(finished, find(finished, "web4")[0]).outcome == "filtered"
    told = why(finished, "web4")
    assert "signal     no_login_pages: refuses it" in told
    assert "rule       no_login_pages: value 0, threshold 1" in told
    assert finished.manifest["operators"]["no_login_pages"]["refused"] == 2


def test_spans_are_replaced_where_the_text_leaves(finished):
    kept = [doc for doc in examples(finished, KEPT) if "SIGNATURE" in explain(finished, doc).text]
    assert len(kept) == finished.manifest["redact"]["spans"]["signatures.signature"] > 0
    for doc in kept:
        story = explain(finished, doc)
        assert story.text.endswith("\n<SIGNATURE>") and "Body" not in story.text
        assert ("pii.email", 1.0) in story.signals and ("signatures.spans", 1.0) in story.signals
    assert finished.manifest["redact"]["spans"]["pii.email"] == len(kept)
    assert finished.manifest["redact"]["edits"] == len(kept)  # the signature holds the address


def test_a_rule_on_a_known_signal(finished):
    assert failures(finished)["web3"]["short"] == (3, 20)
    assert "rule       short: value 3, threshold 20" in why(finished, "web3")


def test_a_model_gives_a_signal_and_a_quantile_bounds_it(finished):
    rows = signals(finished)
    values = sorted(row["edu"] for row in rows.values())
    threshold = float(np.quantile(np.array(values), 0.1, method="inverted_cdf"))
    dropped = {name for name, failed in failures(finished).items() if "min_edu" in failed}
    assert dropped == {name for name, row in rows.items() if row["edu"] < threshold} != set()
    assert {failures(finished)[name]["min_edu"][1] for name in dropped} == {threshold}


def test_the_books_close_and_the_summary_tells_each_operator(finished, folder):
    assert all(balance.expected == balance.found for balance in recount(finished))
    assert check_work(finished, hashes=True) == []
    code, output = winnow("run", str(folder / "config.yaml"))
    assert code == 0
    assert "operator strip_cookie_banner: 44 documents; 1 changed, 86 bytes fewer of" in output
    assert "operator no_login_pages: 44 documents; 2 refused" in output
    assert "0 units computed" in output
    code, output = winnow("plan", str(folder / "config.yaml"))
    assert "quantile_cuts" in output


@pytest.mark.slow
def test_a_rule_set_of_an_installed_package(folder, finished, tmp_path):
    package = tmp_path / "site"
    package.mkdir()
    docs_files.install(package)
    (package / "acme_rules.py").write_text(docs_files.files()["acme_rules.py"])
    values = yaml.safe_load((folder / "config.yaml").read_text())
    values["filter"] = {"acme": {"min_lines": 3}, "gopher_repetition": "off"}
    values["measure"] = {}
    values["run"] = str(tmp_path / "run")
    path = tmp_path / "c.yaml"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (package, ROOT / "pipeline", ROOT)))}

    def command(*arguments: str) -> subprocess.CompletedProcess:
        path.write_text(yaml.safe_dump(values))
        line = [sys.executable, "-m", "jobs", *arguments]
        return subprocess.run(line, env=environment, capture_output=True, text=True, cwd=folder)

    ended = command("run", str(path))
    assert ended.returncode == 0, ended.stderr
    told = command("why", "web3", str(tmp_path / "run")).stdout
    assert "rule       acme.min_lines: value 1, threshold 3" in told
    assert told.index("gopher_quality.min_words") < told.index("acme.min_lines")  # numbers of built-in rules stay
    values["filter"]["acme"] = {"min_line": 3}
    ended = command("plan", str(path))
    assert ended.returncode == 2
    assert "filter.acme.min_line: unknown setting 'min_line'; did you mean 'min_lines'?" in ended.stderr
    assert "acme:" in command("init", str(tmp_path / "new.yaml")).stdout + (tmp_path / "new.yaml").read_text()
    broken = (package / "acme_rules.py").read_text().replace('Rule("min_lines"', 'Rule("least_lines"')
    (package / "acme_rules.py").write_text(broken)
    ended = command("plan", str(path))
    assert "rule set acme: AcmeRules has no setting 'least_lines'; it has min_lines, max_marks" in ended.stderr
