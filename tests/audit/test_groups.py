"""The audit of groups, beside counts in plain Python, and what the run's report tells of it."""

import json
import math
import random
from collections import defaultdict

import pytest
from scipy.stats import binomtest

from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from winnow.audit.intervals import share_of
from winnow.config.config import parse_config
from winnow.runs.run import run
from winnow.runs.state import load_run

TERMS = "group,term\nfishers,fisher\nfishers,Fisher folk\nmillers,miller\n"
OPS = """
import pyarrow.compute as pc
import winnow

@winnow.filter
def no_grue(batch):
    return pc.invert(pc.match_substring(batch["text"], "grue"))
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """600 documents of two sources: those that name fishers hold the word that the filter drops more often."""
    folder = tmp_path_factory.mktemp("groups")
    (folder / "ops.py").write_text(OPS)
    (folder / "terms.csv").write_text(TERMS)
    rng = random.Random(4)
    words = "the river and stone of letter that harbour with orchard to winter have number be engine".split()
    for name, number in (("web", 400), ("books", 200)):
        rows = []
        for n in range(number):
            fisher, miller = rng.random() < 0.4, rng.random() < 0.3
            bad = rng.random() < (0.5 if fisher else 0.1) * (1 if name == "web" else 0.5)
            text = [rng.choice(words) for _ in range(rng.choice([30, 200]))] + [f"{name}{n}"]
            text += ["Fisher"] * fisher + ["miller."] * miller + ["grue"] * bad + ["fishers"]
            rng.shuffle(text)
            rows += [{"id": f"{name}-{n}", "text": " ".join(text)}] * (1 + 3 * (n % 40 == 1))
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sources = [source_of(folder / f"{name}.jsonl", name, id="id") for name in ("web", "books")]
    rules = {"mode": "filter", **dict.fromkeys(("gopher_quality", "gopher_repetition", "c4", "fineweb"), "off")}
    operators = {"operators": [{"use": str(folder / "ops.py") + ":no_grue"}]}
    run(parse_config(run_config(folder / "run", *sources, filter=rules, measure=operators)))
    return folder


def test_equal_to_counts_in_plain_python(finished):
    code, output = winnow(
        "audit",
        "groups",
        str(finished / "run"),
        "--terms",
        str(finished / "terms.csv"),
        "--json",
        str(finished / "a.json"),
    )
    assert code == 0, output
    told = json.loads((finished / "a.json").read_text())
    found = load_run(str(finished / "run"))
    languages = {}
    for part in found.parts:
        import pyarrow.parquet as pq

        signals = pq.read_table(found.store.path(part.signals["path"]), columns=["doc", "language"]).to_pylist()
        languages |= {row["doc"]: row["language"] for row in signals}
    documents = []
    for part in found.parts:
        for row in pq.read_table(found.store.path(part.documents["path"])).to_pylist():
            held = row["text"].lower().replace(".", "").split()
            size = len(row["text"].encode())
            documents.append(
                {
                    "stratum": (row["source"], languages[row["doc"]], int(math.log2(size + 1))),
                    "fishers": "fisher" in held,
                    "millers": "miller" in held,
                    "gone": "grue" in held,
                }
            )
    assert told["documents"] == len(documents)
    for group in ("fishers", "millers"):
        mine = [document for document in documents if document[group]]
        others = defaultdict(list)
        for document in documents:
            if not document[group]:
                others[document["stratum"]].append(document["gone"])
        compared = [others[d["stratum"]] for d in mine if others[d["stratum"]]]
        expected = sum(sum(gone) / len(gone) for gone in compared) / len(compared)
        (removal,) = [r for r in told["removals"] if (r["rule"], r["group"]) == ("no_grue", group)]
        assert (removal["rate"]["hits"], removal["rate"]["of"]) == (sum(d["gone"] for d in mine), len(mine))
        assert removal["expected"] == pytest.approx(expected)
        assert removal["disparate"] == (group == "fishers")
        (shown,) = [g for g in told["groups"] if g["group"] == group]
        assert shown["after"]["read"]["hits"] == len(mine)
        assert shown["after"]["rules"]["hits"] == sum(not d["gone"] for d in mine)
        assert shown["after"]["dedup"]["hits"] == shown["kept"]["hits"]
        assert shown["effect"] > 1  # copies of one text tell less than others
    assert "1 of " in output and "no_grue, removes" in output
    page = (finished / "run/audit/groups.html").read_text()
    assert "<script" not in page and "What stands out" in page


def test_what_was_done_stands_in_the_report(finished):
    args = ["audit", "groups", str(finished / "run"), "--terms", str(finished / "terms.csv")]
    assert winnow(*args)[0] == 0
    assert winnow(*args, "--note", "looked at: the <b>word</b> is a monster's")[0] == 0
    assert winnow(*args)[0] == 0  # the note stays
    audits = json.loads((finished / "run/audit/groups.json").read_text())["audits"]
    assert [audit["note"] for audit in audits] == ["looked at: the <b>word</b> is a monster's"]
    assert winnow("report", str(finished / "run"))[0] == 0
    page = (finished / "run/reports/report.html").read_text()
    assert "Audit 1, of this run as it is" in page
    assert "What was done: looked at: the &lt;b&gt;word&lt;/b&gt; is a monster" in page
    (finished / "run/audit/groups.json").write_text("{}")
    code, output = winnow(*args)
    assert code == 2 and "groups.json: cannot be read as audits of groups" in output
    (finished / "run/audit/groups.json").unlink()


def test_lists_that_cannot_be_used(finished):
    (finished / "bad.csv").write_text("group,term\ng,.*\n")
    for file, told in (("bad.csv", "line 2: the term '.*' holds no letter"), ("none.csv", "No such file")):
        code, output = winnow("audit", "groups", str(finished / "run"), "--terms", str(finished / file))
        assert code == 2 and told in output and file in output


def test_intervals_are_wilsons_and_widen():
    for hits, of in ((3, 40), (0, 12), (12, 12), (250, 1000)):
        expected = binomtest(hits, of).proportion_ci(method="wilson")
        found = share_of(hits, of)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
        many = binomtest(hits, of).proportion_ci(1 - 0.05 / 30, method="wilson")
        found = share_of(hits, of, comparisons=30)
        assert (found.low, found.high) == pytest.approx((many.low, many.high), abs=1e-9)
    halved = share_of(10, 100, effect=2.0)
    alone = share_of(5, 50)
    assert (halved.low, halved.high) == pytest.approx((alone.low, alone.high))
