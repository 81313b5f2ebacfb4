"""Rules on where documents come from through whole runs: what goes, what is told, what is computed again."""

import gzip
import json
import re
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.archives import page, write_archive
from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from tests.support.corpora import articles
from tests.support.finished import ledger, shards_of
from winnow import schemas
from winnow.audit.verify.provenance import check_provenance
from winnow.config.config import parse_config
from winnow.config.strict_yaml import read_yaml
from winnow.engine.records import Output, Record
from winnow.errors import ConfigError
from winnow.finished.explain import explain, find
from winnow.finished.story import Evidence
from winnow.flow.reading import reading_alarms
from winnow.flow.records import RunRecords
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.text.urls.config import list_name

OFF = {"gopher_quality": "off", "gopher_repetition": "off", "c4": "off", "fineweb": "off"}
ADDRESSES = {
    "listed": "https://www.blocked.example/x",
    "other": "http://badblocked.example/",
    "exact": "http://ok.example:80/one#top",
    "near": "http://ok.example/one/more",
    "hard": "http://ok.example/the-casino",
    "soft": "http://ok.example/hot?q=girls",
    "one-soft": "http://ok.example/hot",
    "idn": "http://www.b%C3%BCcher.example/",
    "none": None,
}
FATES = {
    "listed": "urls.adult.domains",
    "exact": "urls.exact",
    "hard": "urls.hard",
    "soft": "urls.soft",
    "idn": "urls.adult.domains",
}


def write_lists(folder: Path) -> dict:
    (folder / "adult").mkdir()
    (folder / "adult" / "domains").write_text("# hosts\nblocked.example\nBücher.example\n" + "x.test\n" * 200 + "a/b\n")
    (folder / "hard.txt.gz").write_bytes(gzip.compress(b"casino\n"))
    (folder / "soft.txt").write_text("girls\nhot\n")
    (folder / "exact.txt").write_text("https://ok.example/one/\n")
    return {
        "domains": [str(folder / "adult" / "domains")],
        "urls": str(folder / "exact.txt"),
        "words": str(folder / "hard.txt.gz"),
        "soft_words": [str(folder / "soft.txt")],
    }


def write_rows(path: Path, rows: dict[str, dict]) -> None:
    texts = articles(5, len(rows))
    lines = [
        json.dumps({"id": name, "text": text, **row}) for (name, row), text in zip(rows.items(), texts, strict=False)
    ]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("provenance")


@pytest.fixture(scope="module")
def lists(folder) -> dict:
    return write_lists(folder)


@pytest.fixture(scope="module")
def context(folder, lists):
    rows = {name: {"url": url} if url else {} for name, url in ADDRESSES.items()}
    write_rows(folder / "in.jsonl", rows)
    return run(parse_config(config(folder, lists)))


def config(folder: Path, lists: dict, **rules) -> dict:
    filtering = {**OFF, "urls": lists, **rules}
    source = source_of(folder / "in.jsonl", "web", id="id")
    return run_config(folder / "run", source, filter=filtering, dedup="off", shards={"sequence_tokens": 63})


def test_what_lists_name_goes_and_nothing_else(context, folder):
    told = ledger(folder / "run")
    assert {name: row["rule"] for name, row in told.items() if row["outcome"] == schemas.FILTERED} == FATES
    kept = {name for name, row in told.items() if row["outcome"] == schemas.KEPT}
    assert kept == set(ADDRESSES) - set(FATES)
    assert (told["soft"]["value"], told["soft"]["threshold"]) == (2, 1)


def test_why_shows_list_and_entry(context, folder):
    finished = load_run(str(folder / "run"))
    stories = {name: explain(finished, find(finished, name)[0]) for name in ADDRESSES}
    assert stories["listed"].evidence == (Evidence("urls.adult.domains", "adult.domains", "blocked.example"),)
    assert stories["idn"].evidence[0].entry == "xn--bcher-kva.example"
    assert stories["soft"].evidence == (Evidence("urls.soft", "soft", "hot, girls"),)
    assert stories["exact"].evidence[0].entry == "ok.example/one"
    assert stories["near"].evidence == ()
    code, told = winnow("why", "listed", str(folder / "run"))
    assert code == 0 and "urls.adult.domains: value 1, threshold 0" in told
    assert "found by   urls.adult.domains: 'blocked.example' of list adult.domains" in told
    assert "field      url: https://www.blocked.example/x" in told  # though `keep` does not name it


def test_all_is_counted_and_told(context, folder):
    code, told = winnow("summary", str(folder / "run"))
    assert code == 0
    assert "URL lists: adult.domains (202 entries), exact (1 entries), hard (1 entries), soft (2 entries)" in told
    assert "urls.adult.domains 2, urls.exact 1, urls.hard 1, urls.soft 1" in told
    assert "source web: 1 documents have no address (field 'url'), so no list met them" in told
    assert "URL list adult.domains: 1 lines are passed over, the first is line 204: a whole address where a" in told
    manifest = context.run.manifest["provenance"]
    assert manifest["no_url"] == {"web": 1} and manifest["failed"]["urls.adult.domains"] == 2
    assert [entry["kind"] for entry in manifest["lists"]] == ["domains", "urls", "words", "soft_words"]
    assert all(entry["hash"].startswith("sha256:") for entry in manifest["lists"])


def test_verify_holds_failures_against_their_evidence(context, folder):
    code, told = winnow("verify", str(folder / "run"))
    assert code == 0, told
    finished = load_run(str(folder / "run"))
    assert all(balance.expected == balance.found for balance in check_provenance(finished))
    finished.records["filter"] = [replace(record, outputs={**record.outputs, "failures": _empty(finished, record)})
                                  for record in finished.of("filter")]  # fmt: skip
    assert any(balance.expected != balance.found for balance in check_provenance(finished))


def _empty(finished: RunRecords, record: Record) -> Output:
    """A table of failures without a row."""
    path = finished.store.path("empty-failures.parquet")
    table = pq.read_table(finished.store.path(record.outputs["failures"].path))
    pq.write_table(table.slice(0, 0), path)
    return replace(record.outputs["failures"], path="empty-failures.parquet")


def test_another_list_computes_the_rules_again_and_measures_nothing(context, folder, lists):
    path = Path(lists["soft_words"][0])
    before = path.read_text()
    path.write_text("girls\n")
    again = run(parse_config(config(folder, lists)))
    computed = {s.name: s.units - s.reused for s in again.engine.summaries}
    assert computed["measure"] == 0
    assert (computed["url_lists"], computed["provenance"], computed["filter"]) == (1, 1, 1)
    assert ledger(folder / "run")["soft"]["outcome"] == schemas.KEPT
    path.write_text(before)  # what was there is known by its content
    back = run(parse_config(config(folder, lists)))
    assert all(s.units == s.reused for s in back.engine.summaries)
    assert ledger(folder / "run")["soft"]["outcome"] == schemas.FILTERED


def test_without_rules_the_run_is_what_it_was(folder, lists, context, tmp_path):
    """The stage of the filter is the same work, whatever rules on provenance could say."""
    plain = run(parse_config(config(folder, lists) | {"filter": OFF, "run": str(tmp_path / "plain")}))
    assert "provenance" not in plain.run.records
    settings = plain.run.of("filter")[0].fingerprint
    assert settings == context.run.of("filter")[0].fingerprint
    assert all(row["outcome"] == schemas.KEPT for row in ledger(tmp_path / "plain").values())


def test_annotate_tells_and_keeps(folder, lists, context, tmp_path):
    annotating = config(folder, lists, mode="annotate") | {"run": str(tmp_path / "run")}
    run(parse_config(annotating))
    assert {row["outcome"] for row in ledger(tmp_path / "run").values()} == {schemas.KEPT}
    finished = load_run(str(tmp_path / "run"))
    assert explain(finished, find(finished, "hard")[0]).failed_rules[0].rule == "urls.hard"


def test_batches_and_sources_do_not_change_what_is_found(folder, lists, context, tmp_path, monkeypatch):
    monkeypatch.setattr("winnow.flow.measure.batch_bytes", lambda _memory: 1)
    run(parse_config(config(folder, lists) | {"run": str(tmp_path / "run")}))
    outcomes = [
        {k: (r["outcome"], r["rule"]) for k, r in ledger(f).items()} for f in (tmp_path / "run", folder / "run")
    ]
    assert outcomes[0] == outcomes[1]
    assert shards_of(tmp_path / "run") == shards_of(folder / "run") != {}


def test_lists_in_an_object_store_are_those_of_the_disk(folder, lists, context, tmp_path):
    import fsspec

    files = fsspec.filesystem("memory")
    far = {}
    for kind, paths in lists.items():
        for path in [paths] if isinstance(paths, str) else paths:
            at = f"memory://lists/{Path(path).parent.name}/{Path(path).name}"
            files.pipe_file(at, Path(path).read_bytes())
            far[kind] = at
    storage = {"scratch": str(tmp_path / "scratch")}
    made = run(parse_config(config(folder, far) | {"storage": storage}))
    assert all(summary.units == summary.reused for summary in made.engine.summaries)  # known by content
    with pytest.raises(ConfigError, match=r"filter.urls.words: memory://lists/none.txt: no such object"):
        run(parse_config(config(folder, {"words": "memory://lists/none.txt"}) | {"storage": storage}))
    with pytest.raises(ConfigError, match="filter.urls.words: a s3:// URL holds credentials"):
        parse_config(config(folder, {"words": "s3://key:secret@bucket/words.txt"}))


def test_submit_sends_lists_along_under_their_names(folder, lists, tmp_path):
    from jobs.submit import _lists_along

    given = parse_config(config(folder, lists))
    options = _lists_along(given, tmp_path)
    sent = {name: json.loads(paths) for name, paths in (option.split("=", 1) for option in options[1::2])}
    for kind in ("domains", "urls", "words", "soft_words"):
        before = getattr(given.filter.urls, kind)
        after = sent[f"filter.urls.{kind}"]
        assert [list_name(path) for path in after] == [list_name(path) for path in before]
        assert [(tmp_path / path).read_bytes() for path in after] == [Path(path).read_bytes() for path in before]
    assert _lists_along(parse_config(config(folder, lists) | {"filter": OFF}), tmp_path) == []


def test_sources_without_fields_pass(folder, lists, context, tmp_path):
    (tmp_path / "plain.txt").write_text("A plain text, which has no address at all, and says little.")
    sources = [source_of(tmp_path / "plain.txt", "notes"), source_of(folder / "in.jsonl", "web", id="id")]
    filtering = {**OFF, "urls": {**lists, "sources": ["web"]}, "licences": {"allow": ["CC0"], "sources": ["notes"]}}
    made = run(parse_config(run_config(tmp_path / "run", *sources, filter=filtering, dedup="off")))
    rules = {row["rule"] for row in ledger(tmp_path / "run").values()}
    assert rules == {None, "licences.unknown", *FATES.values()}
    assert made.run.totals("provenance", "no_url") == {"web": 1}


def test_lists_that_cannot_be_used_are_refused_before_any_work(folder, tmp_path):
    (tmp_path / "empty").write_text("\n")
    wanted = config(folder, {"words": str(tmp_path / "empty")}) | {"run": str(tmp_path / "run")}
    with pytest.raises(ConfigError, match=r"filter.urls.words: .*/empty: has no entry"):
        run(parse_config(wanted))
    (tmp_path / "c.json").write_text(json.dumps(wanted))
    assert winnow("run", str(tmp_path / "c.json"))[0] == 2
    assert not (tmp_path / "run" / "work").exists()
    with pytest.raises(ConfigError, match="filter.urls.sources names source 'other'"):
        parse_config(config(folder, {"words": "x", "sources": ["other"]}))
    with pytest.raises(ConfigError, match="no signal is called 'noai2'"):
        parse_config(config(folder, {"words": "x"}, opt_outs=["noai2"]))


def test_opt_outs_of_pages_are_counted_and_dropped_when_asked(tmp_path):
    meta = b"<html><head><meta name=robots content='noarchive, NOAI'></head>"
    write_archive(tmp_path / "a.warc", [page(1), page(2).replace(b"<html><head>", meta, 1)])
    header = [("Content-Type", "text/html"), ("TDM-Reservation", "1"), ("Content-Usage", "train-ai=n, search=y")]
    write_archive(tmp_path / "b.warc", [page(3)], headers=header)
    harmless = [("Content-Type", "text/html"), ("Content-Usage", "train-ai=y, search=n"), ("X-Robots-Tag", "noindex")]
    write_archive(tmp_path / "c.warc", [page(4)], headers=harmless)
    rows = {"said": {"body": meta.decode() + page(5).decode()}, "silent": {"body": page(6).decode()}}
    write_rows(tmp_path / "f.jsonl", rows)
    sources = [source_of(f"{tmp_path}/*.warc", "crawl"), source_of(tmp_path / "f.jsonl", "rows", id="id", html="body")]

    def outcome(name: str, **rules) -> tuple[dict[str, int], RunRecords]:
        made = run_config(
            tmp_path / name, *sources, filter={**OFF, **rules}, dedup="off", shards={"sequence_tokens": 63}
        )
        found = run(parse_config(made)).run
        return found.totals("decide", "outcome"), found

    told, context = outcome("counted")
    assert told == {"kept": 6}
    kinds = {name: source.get("reading") for name, source in context.manifest["sources"].items()}
    assert kinds == {
        "crawl": {
            "opt-out noai": 1, "opt-out noarchive": 1, "opt-out tdm-reservation": 1, "opt-out content-usage": 1
        },
        "rows": {"opt-out noai": 1, "opt-out noarchive": 1},
    }  # fmt: skip
    summary = winnow("summary", str(tmp_path / "counted"))[1]
    assert "source crawl: 1 documents say that they are not for training (noai; nothing is dropped for it" in summary
    told, context = outcome("dropped", opt_outs="drop")
    assert told == {"kept": 3, "filtered": 3}
    assert context.manifest["provenance"]["failed"] == {
        "opt_outs.content-usage": 1, "opt_outs.noai": 2, "opt_outs.noarchive": 2, "opt_outs.tdm-reservation": 1
    }  # fmt: skip
    rows = ledger(tmp_path / "dropped")
    assert (rows["said"]["rule"], rows["silent"]["rule"]) == ("opt_outs.noai", None)
    code, why = winnow("why", "said", str(tmp_path / "dropped"))
    assert code == 0 and "found by   opt_outs.noai: 'noai, noarchive'" in why
    told, _ = outcome("some", opt_outs=["tdm-reservation"])
    assert told == {"kept": 5, "filtered": 1}


def test_licences_that_are_allowed(tmp_path):
    link = '<a href="https://creativecommons.org/licenses/{}/">'.format
    said = {
        "by": link("by/4.0"), "by-sa": link("by-sa/3.0"), "zero": link("zero/1.0").replace("licenses", "publicdomain"),
        "two": link("by/4.0") + link("by-nc/4.0"), "none": "",
    }  # fmt: skip
    write_rows(tmp_path / "p.jsonl", {name: {"body": f"{page(1).decode()}{a}"} for name, a in said.items()})
    write_rows(tmp_path / "f.jsonl", {"mit": {"licence": "mit"}, "own": {}})
    sources = [
        source_of(tmp_path / "p.jsonl", "pages", id="id", html="body"),
        source_of(tmp_path / "f.jsonl", "files", id="id", licence="CC0-1.0"),
    ]

    def outcome(name: str, licences: object) -> dict[str, str]:
        filtering = {**OFF, "licences": licences}
        run(parse_config(run_config(tmp_path / name, *sources, filter=filtering, dedup="off")))
        return {k: row["rule"] or row["outcome"] for k, row in ledger(tmp_path / name).items()}

    assert outcome("strict", ["CC-BY", "cc0-1.0"]) == {
        "by": "kept", "by-sa": "licences.other", "zero": "kept", "two": "licences.unclear", "none": "licences.unknown",
        "mit": "licences.other", "own": "kept",
    }  # fmt: skip
    mild = {"allow": ["MIT", "CC-BY-SA-3.0"], "unknown": "keep", "unclear": "keep", "sources": ["pages"]}
    assert outcome("mild", mild) == {
        "by": "licences.other", "by-sa": "kept", "zero": "licences.other", "two": "kept", "none": "kept",
        "mit": "kept", "own": "kept",
    }  # fmt: skip
    code, why = winnow("why", "none", str(tmp_path / "strict"))
    assert code == 0 and "found by   licences.unknown: nothing is said" in why


def test_the_examples_of_the_docs(tmp_path, monkeypatch):
    page_of_docs = (Path(__file__).parents[2] / "docs" / "web.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```$", page_of_docs, re.MULTILINE | re.DOTALL)
    (rules,) = (read_yaml(block) for block in blocks if block.startswith("filter:\n  urls:"))
    (lines,) = (read_yaml(block) for block in blocks if "line_rules:" in block)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lists" / "adult").mkdir(parents=True)
    (tmp_path / "lists" / "adult" / "domains").write_text("example.com\n")
    (tmp_path / "lists" / "malware.txt.gz").write_bytes(gzip.compress(b"bad.example\n"))
    for name, content in (("pages", "x.org/a"), ("words", "casino"), ("soft", "hot\ngirls")):
        (tmp_path / "lists" / f"{name}.txt").write_text(content)
    rows = {
        "listed": {"url": "http://a.example.com/"},
        "malware": {"url": "http://bad.example/x"},
        "free": {"url": "http://badexample.com/", "licence": "CC-BY-3.0"},
        "closed": {"url": "http://c.example/", "licence": "CC-BY-NC-4.0"},
    }
    write_rows(tmp_path / "in.jsonl", rows)
    source = source_of("in.jsonl", "crawl", id="id")
    rules["filter"] |= OFF
    run(parse_config(run_config(tmp_path / "run", source, **rules, **lines, dedup="off")))
    told = {name: row["rule"] for name, row in ledger(tmp_path / "run").items()}
    assert told == {
        "listed": "urls.adult.domains", "malware": "urls.malware", "free": None, "closed": "licences.other"
    }  # fmt: skip
    code, why = winnow("why", "listed", str(tmp_path / "run"))
    for line in ("rule       urls.adult.domains: value 1, threshold 0", "'example.com' of list adult.domains"):
        assert line in why and line in page_of_docs


def test_fields_of_rules_that_pages_rarely_have_are_no_mistakes_in_keep(tmp_path, caplog):
    rows = {str(n): {"link": f"http://ok.example/{n}"} for n in range(3)}
    write_rows(tmp_path / "in.jsonl", rows)
    write_archive(tmp_path / "in.warc", [page(1), page(2)])
    (tmp_path / "hosts").write_text("x.test\n")
    sources = [
        source_of(tmp_path / "in.jsonl", "rows", id="id"),
        source_of(tmp_path / "in.warc", "pages", keep=["tilte"]),
    ]
    rules = {**OFF, "opt_outs": "drop", "urls": {"domains": str(tmp_path / "hosts")}}
    rules["licences"] = {"allow": ["CC-BY"], "unknown": "keep"}
    context = run(parse_config(run_config(tmp_path / "run", *sources, filter=rules, shards={"sequence_tokens": 63})))
    told = [str(alarm).partition(", so")[0] for alarm in reading_alarms(context.run)]
    assert told == [
        "source rows: filter: no record has a value for 'url'",
        "source rows: filter: no record has a value for 'licence'",
        "source pages: keep: no record has a value for 'tilte'",
    ]
    first = [r.getMessage().partition(", so")[0] for r in caplog.records if "of the first records" in r.getMessage()]
    assert first == [f"of the first records: {line}" for line in told]
