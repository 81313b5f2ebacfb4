"""The page of a run: its numbers are the run's, its examples lie at their thresholds, and corpus text stays text."""

import html
import json
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import winnow as winnow_api
from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from tests.support.corpora import articles
from winnow.config.config import parse_config
from winnow.report.manifest import outcomes_of
from winnow.report.outcomes import outcomes_by_source
from winnow.report.page import charts
from winnow.report.page.fates import tokens_by_fate
from winnow.report.page.kept import kept_section
from winnow.report.page.page import page_of
from winnow.report.page.rules import rules_section
from winnow.report.page.sample import take_sample
from winnow.report.reports import REPORTS
from winnow.report.rule_tables import failures_by_source
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.stages.tables import read_parquet

pytest.importorskip("vl_convert", reason="the extra `report` is not installed: nothing draws charts")
NOTEBOOK = Path(__file__).parents[2] / "examples" / "first_run.ipynb"
HOSTILE = "</pre><script>alert('x')</script><img src=x onerror=alert(1)> \x1b[31m \u202e &lt;b&gt; http://evil.test/x "
SAID = (
    {"url": "https://user@WWW.site.test:80/a?b", "date": "2019-05-01", "licence": "MIT"},
    {"url": "http://<img src=x onerror=alert(1)>\u202e.test/", "date": "1700000000"},
    {"date": "20240102030405"},
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ELEMENTS = set(
    "html head meta title style body header main nav section h1 h2 p div span strong a figure figcaption table tr th "
    "td ul li pre code mark details summary svg g path line rect text tspan".split()
)


class Seen(HTMLParser):
    """Elements, attributes and text, as a browser takes them."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements, self.attributes, self.text = set(), [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.elements.add(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run with hostile texts, in two sources, that ends with its page."""
    folder = tmp_path_factory.mktemp("page")
    texts = {"good": articles(1, 90), "other": articles(2, 40)}
    for number, lines in enumerate(texts.values()):
        said = [SAID[n % len(SAID)] if number else {} for n in range(len(lines))]
        records = [{"id": f"{number}-{n}", "text": HOSTILE + text, **said[n]} for n, text in enumerate(lines)]
        (folder / f"{number}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    more = ({"licence": "CC-BY-4.0"}, {"keep": ["url", "date", "licence"]})
    sources = [source_of(folder / f"{n}.jsonl", name, id="id", **more[n]) for n, name in enumerate(texts)]
    rules = {"mode": "filter", "gopher_quality": {"min_words": 180}, "gopher_repetition": "off"}
    shards = {"sequence_tokens": 127, "splits": {"val": 0.1}}
    run(parse_config(run_config(folder / "run", *sources, filter=rules, shards=shards, report=True)))
    return folder / "run"


@pytest.fixture(scope="module")
def page(folder):
    return (folder / "reports" / "report.html").read_text()


@pytest.fixture(scope="module")
def seen(page):
    return Seen(page)


def test_nothing_of_the_corpus_is_an_element_a_link_or_a_request(seen, page):
    assert seen.elements <= ELEMENTS
    names = {name for name, _ in seen.attributes}
    assert not any(name.startswith("on") or name in ("src", "style", "xlink:href") for name in names)
    assert all(value.startswith("#part-") for name, value in seen.attributes if name == "href")
    assert "default-src 'none'; style-src 'sha256-" in page
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)
    assert "<script>alert('x')</script>" in "".join(seen.text)  # as text


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_a_browser_has_nothing_to_complain_of(folder, tmp_path):
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    flags += "--disable-component-update --disable-sync --enable-logging=stderr --dump-dom"
    file = f"file://{folder / 'reports' / 'report.html'}"
    command = [CHROMIUM, *flags.split(), f"--user-data-dir={tmp_path}", file]
    found = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    assert "What happened to the data" in found.stdout
    assert "CONSOLE" not in found.stderr


def test_tiles_and_tables_hold_the_numbers_of_the_run(folder, seen):
    finished, text = load_run(str(folder)), " ".join(" ".join(seen.text).split())
    outcomes = outcomes_of(finished)
    read = sum(outcomes.values())
    assert f"{read:,} records read {outcomes['kept']:,} ({outcomes['kept'] / read:.1%}) documents kept" in text
    for outcome, number in outcomes.items():
        if number:
            assert f"{outcome} {number:,} {number / read:.2%}" in text
    for rule, number in finished.totals("filter", "failed").items():
        assert re.search(rf"{re.escape(rule)} m(in|ax) [\d.]+ {number:,} ", text), rule
    for name, number in finished.totals("tokenise", "source_tokens").items():
        assert f"{number:,}" in text, name


def test_failures_of_a_source_are_those_of_the_table(folder):
    finished, found = load_run(str(folder)), {"good": Counter(), "other": Counter()}
    for part, record in zip(finished.parts, finished.of("filter"), strict=True):
        signals = read_parquet(finished.store, part.signals, ["doc", "source"]).to_pylist()
        source = {row["doc"]: row["source"] for row in signals}
        for row in read_parquet(finished.store, record.outputs["failures"].reference()).to_pylist():
            found[source[row["doc"]]][row["rule"]] += 1
    assert failures_by_source(finished) == found and all(found.values())


def _ids(finished, part):
    return read_parquet(finished.store, part.documents, ["doc", "id"]).to_pylist()


def test_what_was_kept_is_counted_by_language_licence_site_and_year(folder, seen):
    finished = load_run(str(folder))
    part = kept_section(finished, take_sample(finished))
    languages, licences, sites, years = part.tables
    records = [json.loads(line) for n in (0, 1) for line in (folder.parent / f"{n}.jsonl").read_text().splitlines()]
    kept = set(take_sample(finished).docs[take_sample(finished).kept].tolist())
    ids = {row["id"] for part in finished.parts for row in _ids(finished, part) if row["doc"] in kept}
    mine = [record for record in records if record["id"] in ids]
    tokens = finished.total("tokenise", "tokens")
    assert sum(int(row[1]) for row in languages.rows) == len(mine) == sum(int(row[1]) for row in licences.rows)
    assert sum(int(row[2].replace(",", "")) for row in languages.rows) == tokens
    of = Counter(record.get("licence") or ("CC-BY-4.0" if record["id"][0] == "0" else "not stated") for record in mine)
    assert {row[0]: int(row[1]) for row in licences.rows} == of and len(of) == 3
    of = Counter(record["url"] for record in mine if "url" in record)
    assert {row[0]: int(row[1]) for row in sites.rows} == {
        "site.test": of[SAID[0]["url"]],
        "<img src=x onerror=alert(1)>\u202e.test": of[SAID[1]["url"]],
    }
    of = Counter(record.get("date") for record in mine)
    assert [(row[0], int(row[1])) for row in years.rows] == [("2019", of["2019-05-01"]), ("2024", of["20240102030405"])]
    assert years.note == f"{of['1700000000'] + of[None]:,} documents tell none."
    assert "<img src=x onerror=alert(1)>" in "".join(seen.text)


def test_examples_are_the_documents_nearest_to_the_threshold_on_both_sides(folder):
    finished = load_run(str(folder))
    sample = take_sample(finished)
    rule = next(rule for rule in sample.rules if rule.name == "gopher_quality.min_words")
    section = rules_section(finished, sample, draw=False)
    (part,) = [part for part in section.parts if part.title == rule.name]
    told = [float(re.search(r"with ([\d.]+) \(min 180\)", example.title)[1]) for example in part.examples]
    alone = rule.fails & (sample.failed == 1)
    below = sorted(rule.value[alone].tolist(), reverse=True)[:3]
    above = sorted(rule.value[sample.failed == 0].tolist())[:3]
    assert len(below) == len(above) == 3
    assert told == [*below, *above]
    assert all(value < 180 for value in below)
    assert all(value >= 180 for value in above)


def test_a_large_run_is_sampled_by_whole_parts_evenly_and_the_page_says_so(folder, monkeypatch):
    from winnow.report.page.sample import chosen_parts

    rows = [1000] * 100
    chosen = chosen_parts(rows, 10_000)
    assert len(chosen) == 10
    assert set(np.diff(chosen)) == {10}
    assert chosen_parts(rows, 100_000) == list(range(100))
    assert chosen_parts([5_000_000], 10) == [0]
    finished = load_run(str(folder))
    sampled = take_sample(finished)._replace(parts=0)
    monkeypatch.setattr("winnow.report.page.page.take_sample", lambda _run: sampled)
    assert "parts evenly over the run" in page_of(finished).decode()


def test_a_page_without_what_draws_says_how_to_get_charts(folder, monkeypatch):
    monkeypatch.setattr(charts, "are_drawn", lambda: False)
    shown = Seen(page_of(load_run(str(folder))).decode())
    assert "svg" not in shown.elements
    assert "pip install 'winnow-corpus[report]'" in "".join(shown.text)


def test_the_command_writes_the_page_again(folder, tmp_path, page):
    code, told = winnow("report", str(folder), "--out", str(tmp_path / "x.html"))
    assert (code, told) == (0, f"{tmp_path / 'x.html'} ({len(page.encode()) / 1e6:.1f} MB)\n")
    assert (tmp_path / "x.html").read_text() == page


def test_report_off_writes_no_page_and_a_run_without_documents_has_one(tmp_path):
    (tmp_path / "in.jsonl").write_text(json.dumps({"text": articles(3, 1)[0]}) + "\n")
    config = run_config(tmp_path / "run", source_of(tmp_path / "in.jsonl"))
    run(parse_config(config))
    always = ["languages.json", "metrics.prom", "summary.txt"]
    assert sorted(path.name for path in (tmp_path / "run" / "reports").iterdir()) == always
    (tmp_path / "in.jsonl").write_text('{"text": ""}\n')
    run(parse_config({**config, "report": "on"}))
    assert b"What happened to the data" in (tmp_path / "run" / "reports" / "report.html").read_bytes()
    finished = load_run(str(tmp_path / "run"))
    reports = [REPORTS.get(name) for name in REPORTS]
    assert all((tmp_path / "run" / report.folder(finished) / report.file).is_file() for report in reports)
    assert len(list((tmp_path / "run" / "reports").iterdir())) == len(reports) - 1  # one is with the shards


def test_a_chart_stays_a_drawing_whatever_names_say():
    rows = [(name, "kept", 3) for name in ("<a href='x'>", "x" * 60, "x" * 61, "\u202eevil", "=1+1", "' onload='y")]
    drawn = charts.stacked_bars(rows, ["kept"], "records", share=False).__html__()
    assert "<a " not in drawn
    assert "\u202e" not in drawn
    assert "&lt;a href=" in drawn
    assert len(re.findall(r"xxx…[^<>]*</text>", drawn)) == 2  # cut, and apart


def test_tokens_stand_beside_records_and_are_exact_where_all_was_kept(folder, seen):
    finished = load_run(str(folder))
    sample = take_sample(finished)
    fates = tokens_by_fate(finished, sample, outcomes_by_source(finished))
    for name, of in fates.items():
        counted = finished.total("tokenise", f"source_tokens/{name}")
        assert of["kept"] == pytest.approx(counted, abs=1)  # characters times tokens a character: all of it
        characters = sample.characters[(sample.source == name) & (sample.outcome == "filtered")].sum()
        kept = sample.characters[(sample.source == name) & sample.kept].sum()
        assert of["filtered"] == pytest.approx(characters * counted / kept, abs=1)
    text = " ".join(" ".join(seen.text).split())
    summed = sum(of["kept"] for of in fates.values())
    assert f" {summed:,} " in text and "What is left after each step, in tokens (estimated)." in text


@pytest.fixture(scope="module")
def opened(folder):
    """The run as a notebook has it."""
    return winnow_api.open(folder)


def test_the_page_stands_in_a_frame_that_may_do_nothing(opened):
    shown = opened.report._repr_html_()
    frame = re.fullmatch(r'<iframe sandbox="" srcdoc="([^"]*)" style="[^"<>]*" title="[^"<>]*"></iframe>', shown)
    assert frame is not None  # the corpus closes no attribute and no element
    assert html.unescape(frame[1]) == opened.report.html == page_of(load_run(opened.path)).decode()
    assert "default-src 'none'" in opened.report.html
    assert html.escape("<script>alert(") in opened.report.html
    assert repr(opened.report) == f"<report of {opened.path}>"
    assert opened.report is opened.report


def test_it_is_written_into_a_file(opened, tmp_path):
    opened.report.save(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == opened.report.html


def test_charts_are_those_of_the_page_and_known_to_altair(opened):
    pytest.importorskip("vl_convert", reason="the extra `report` is not installed: nothing draws charts")
    found = opened.report.charts
    assert len(found) == opened.report.html.count("<figure>")
    assert {"Lengths", "Languages"} <= set(found)
    chart = found["Lengths"]
    assert chart._repr_svg_().startswith("<svg") and "currentColor" not in chart.svg
    assert repr(chart) == "<chart: Documents by length.>"
    counted = sum(value["to"] - value["from"] for value in chart.specification["layer"][0]["data"]["values"])
    assert counted == opened.table("documents").count_rows()
    altair = pytest.importorskip("altair", reason="altair is not installed")
    altair.Chart.from_dict(chart.specification).to_dict()


def test_without_the_package_that_draws_charts_say_so(opened, monkeypatch):
    monkeypatch.setattr("winnow.report.page.charts.are_drawn", lambda: False)
    with pytest.raises(winnow_api.ConfigError, match=r"pip install 'winnow-corpus\[report\]'"):
        _ = winnow_api.open(opened.path).report.charts
    assert "<figure>" not in winnow_api.open(opened.path).report.html


def test_the_summary_is_plain_text_in_a_notebook_and_where_colours_are_forced(opened, folder, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert opened.summary() == (folder / "reports" / "summary.txt").read_text()
    assert "\x1b" not in opened.summary()


def test_tables_are_frames(opened):
    frame = opened.frame("decisions")
    assert frame.outcome.astype(str).value_counts().to_dict() == {k: v for k, v in opened.outcomes.items() if v}
    assert list(opened.frame("documents", ["id", "doc"]).columns) == ["id", "doc"]
    with pytest.raises(winnow_api.ConfigError, match=r"'documents' has no column 'ids'; it has doc, id"):
        opened.frame("documents", ["doc", "ids"])
    with pytest.raises(winnow_api.ConfigError, match="no such table"):
        opened.frame("nothing")


@pytest.mark.slow
def test_the_example_runs_in_jupyter_and_shows_page_chart_and_tables(tmp_path):
    nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed (extra `dev`)")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed (extra `dev`)")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed (extra `dev`)")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}, kernel_name="python3").execute()
    results = [out for cell in notebook.cells for out in cell.get("outputs", ()) if out.output_type == "execute_result"]
    kinds = [sorted(result["data"]) for result in results]
    assert ["text/html", "text/plain"] in kinds and ["image/svg+xml", "text/plain"] in kinds
    (page,) = (result["data"]["text/html"] for result in results if "<iframe" in result["data"].get("text/html", ""))
    assert page.startswith('<iframe sandbox="" srcdoc="')
    printed = "".join(out.get("text", "") for cell in notebook.cells for out in cell.get("outputs", ()))
    assert "records from 1 files" in printed and "[0m" not in printed
