"""Boilerplate lines through whole runs: what goes, what the ledger says, and what is computed again."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from ftfy import fix_text

from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from tests.support.corpora import articles
from tests.support.line_reference import counted, removed
from winnow import schemas
from winnow.audit.verify.verify import check_shards, check_work, recount
from winnow.config.config import parse_config
from winnow.errors import ConfigError
from winnow.finished.explain import explain, find
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.stages.ingest import boilerplate
from winnow.stages.ingest.boilerplate import listed_lines
from winnow.storage.store import Store
from winnow.text.lines.config import LinesConfig

ON = {"max_documents": 30, "min_characters": 12}
NAVIGATION = "Home \u2019n\u2019 away | About us | Sign in"
FOOTER = "\x1b]0;evil\x07All rights\u00a0reserved, everywhere and always.\r\nRead the privacy policy before you go."
ONE_ONLY = "This line is in forty documents of a single source."
AT_THE_LIMIT = "This line is in exactly as many documents as may hold one."
SHORT = "Menu"


def texts(source: str, count: int) -> list[str]:
    found = articles(len(source), count)
    framed = [f"  {NAVIGATION}\n{SHORT}\n\n{text}\n\n\n{FOOTER}" for text in found[: count * 3 // 4]]
    if source == "web":
        framed = [f"{text}\n{ONE_ONLY}" if 5 <= n < 45 else text for n, text in enumerate(framed)]
        framed = [f"{AT_THE_LIMIT}\n{text}" if n < ON["max_documents"] else text for n, text in enumerate(framed)]
        framed.append(f"{NAVIGATION}\n\n{FOOTER}\n")
    else:
        framed = [f"{text}\n{ONE_ONLY}" if n < 20 else text for n, text in enumerate(framed)]
    return framed + found[count * 3 // 4 :]


def write(folder: Path, count: int = 300) -> dict[str, list[str]]:
    written = {}
    for source in ("web", "books"):
        written[source] = texts(source, count)
        for part in (0, 1):
            rows = [
                json.dumps({"id": f"{source}{n}", "text": text}) + "\n"
                for n, text in enumerate(written[source])
                if n % 2 == part
            ]
            (folder / f"{source}-{part}.jsonl").write_text("".join(rows))
    return written


def config(folder: Path, lines, name: str = "run", **compute):
    return run_config(
        folder / name,
        *(source_of(f"{folder}/{s}-*.jsonl", s, id="id") for s in ("web", "books")),
        dedup={"lines": lines},
        shards={"sequence_tokens": 127},
        compute={"unit_mb": 1, **compute},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("lines")


@pytest.fixture(scope="module")
def written(folder) -> dict[str, list[str]]:
    return write(folder)


@pytest.fixture(scope="module")
def context(folder, written):
    return run(parse_config(config(folder, ON)))


@pytest.fixture(scope="module")
def finished(context):
    return load_run(context.config.run)


def measured(finished) -> dict[str, tuple[str, dict]]:
    """Text and signals of every document by its id."""
    rows = {}
    for part in finished.parts:
        documents = pq.read_table(finished.store.path(part.documents["path"])).to_pylist()
        signals = pq.read_table(finished.store.path(part.signals["path"])).to_pylist()
        rows |= {d["id"]: (d["text"], s) for d, s in zip(documents, signals, strict=True)}
    return rows


def shards(finished) -> list[str]:
    return [s["sha256"] for split in finished.manifest["shards"]["splits"].values() for s in split["shards"]]


def computed(context) -> dict[str, int]:
    return {s.name: s.units - s.reused for s in context.engine.summaries}


def test_texts_are_those_of_the_plain_statement(written, finished):
    settings = LinesConfig(**ON)
    found = measured(finished)
    total_lines = 0
    for source, raw in written.items():
        normalised = [fix_text(text) for text in raw]
        over = {line for line, number in counted(normalised, settings).items() if number > settings.max_documents}
        assert (ONE_ONLY in over) == (source == "web")
        assert AT_THE_LIMIT not in over
        for n, text in enumerate(normalised):
            left, lines = removed(text, settings, over)
            assert found[f"{source}{n}"][0] == left
            assert found[f"{source}{n}"][1]["removed_lines"] == lines
            assert found[f"{source}{n}"][1]["removed_characters"] == len(text) - len(left)
            assert found[f"{source}{n}"][1]["characters"] == len(left)  # measured after, not before
            total_lines += lines
    numbers = {name: source["boilerplate"] for name, source in finished.manifest["sources"].items()}
    assert sum(source["lines"] for source in numbers.values()) == total_lines > 500
    assert {name: source["emptied"] for name, source in numbers.items()} == {"web": 1, "books": 0}


def test_a_document_of_nothing_else_is_empty_and_why_says_so(finished, written):
    (doc,) = find(finished, f"web{len(texts('web', 300)[:225])}")
    story = explain(finished, doc)
    assert story.outcome == schemas.EMPTY
    assert (story.text, story.removed_lines) == ("", 3)
    code, output = winnow("why", str(doc), finished.store.root)
    assert code == 0
    assert f"3 boilerplate lines ({story.removed_characters:,} characters) removed" in output
    (other,) = find(finished, "books299")
    assert explain(finished, other).removed_lines == 0


def test_the_list_names_every_line_with_its_documents(finished, written):
    settings = LinesConfig(**ON)
    records = finished.records
    for source, raw in written.items():
        numbers = counted([fix_text(text) for text in raw], settings)
        expected = {line: number for line, number in numbers.items() if number > settings.max_documents}
        for rarest in (False, True):
            listed = listed_lines(finished.store, records["boilerplate_set"], records["measure"], source, 1_000, rarest)
            assert {line.text: line.documents for line in listed} == expected
            order = [line.documents for line in listed]
            assert order == sorted(order, reverse=not rarest)


def test_commands_show_it_escaped(finished, folder):
    code, output = winnow("lines", finished.store.root, "--source", "web", "--first", "3")
    assert code == 0
    assert "All rights" in output
    assert "Home 'n' away" in output
    assert "\x1b" not in output
    (folder / "c.yaml").write_text(yaml.safe_dump(config(folder, ON)))
    code, output = winnow("run", str(folder / "c.yaml"))
    assert code == 0
    assert "boilerplate lines removed" in output
    assert "different lines; to judge them: winnow lines" in output
    assert "\x1b]0" not in output
    code, output = winnow("plan", str(folder / "c.yaml"))
    assert "boilerplate_set" in output
    code, output = winnow("plan", str(folder / "c.yaml"), "--set", "dedup.lines=off")
    assert "boilerplate" not in output


def test_the_books_close_and_verify_recounts_the_lines(finished):
    assert check_shards(finished) == []
    assert check_work(finished, hashes=True) == []
    balances = {balance.what: balance for balance in recount(finished)}
    assert all(balance.expected == balance.found for balance in balances.values())
    assert balances["boilerplate lines of source web"].found > 100
    assert balances["boilerplate emptied of source web"].found == 1


@pytest.mark.parametrize("compute", [{"unit_mb": 64}, {"unit_mb": 2, "worker_memory_mb": 256}])
def test_units_batches_and_ranges_change_nothing(context, finished, folder, monkeypatch, compute):
    monkeypatch.setattr(boilerplate, "ROW_BYTES", 10_000)  # several ranges of keys a source
    other = run(parse_config(config(folder, ON, f"run-{compute['unit_mb']}", partition_mb=1, **compute)))
    assert {s.name: s.units for s in other.engine.summaries}["boilerplate"] > 2 * len(context.run.of("boilerplate_set"))
    again = load_run(other.config.run)
    assert shards(again) == shards(finished)
    assert measured(again) == measured(finished)
    sets = [
        [r.outputs[name].hash for r in w.run.of("boilerplate_set") for name in ("keys", "listed")]
        for w in (context, other)
    ]
    assert sets[0] == sets[1]
    lists = [listed_lines(f.store, f.of("boilerplate_set"), f.of("measure"), first=100) for f in (finished, again)]
    assert lists[0] == lists[1]


def test_another_limit_recomputes_what_it_changes_and_nothing_else(folder, written):
    first = run(parse_config(config(folder, ON, "limits")))
    same = run(parse_config(config(folder, {**ON, "max_documents": 31}, "limits")))
    assert [r.outputs["keys"].hash for r in same.run.of("boilerplate_set")] == [
        r.outputs["keys"].hash for r in first.run.of("boilerplate_set")
    ]
    assert {name for name, units in computed(same).items() if units} == {"boilerplate"}
    web_only = run(parse_config(config(folder, {**ON, "max_documents": 45}, "limits")))
    units = computed(web_only)
    assert units["lines"] == 0
    assert 0 < units["measure"] < len(web_only.run.of("measure"))  # the units of the other source stay
    back = run(parse_config(config(folder, ON, "limits")))
    assert sum(computed(back).values()) == 0


def test_off_costs_nothing_and_leaves_no_trace(folder, written):
    off = run(parse_config(config(folder, "off", "off")))
    assert not {"lines", "boilerplate", "boilerplate_set"} & {s.name for s in off.engine.summaries}
    finished = load_run(off.config.run)
    signals = pq.read_schema(finished.store.path(finished.parts[0].signals["path"]))
    assert "removed_lines" not in signals.names
    assert set(off.run.of("measure")[0].outputs) == {"unreadable", "documents-000", "signals-000", "signatures-000"}
    assert all("boilerplate" not in source for source in finished.manifest["sources"].values())
    code, output = winnow("lines", finished.store.root)
    assert code == 2
    assert "`dedup.lines` is off" in output


def test_only_the_chosen_sources(folder, written):
    lines = {**ON, "sources": ["books"]}
    chosen = load_run(run(parse_config(config(folder, lines, "chosen", unit_mb=64))).config.run)
    found = measured(chosen)
    assert all(found[f"web{n}"][0] == fix_text(text) for n, text in enumerate(written["web"]))
    assert found["web0"][1]["removed_lines"] == 0
    assert found["books0"][1]["removed_lines"] == 3
    assert [name for name, s in chosen.manifest["sources"].items() if "boilerplate" in s] == ["books"]
    with pytest.raises(ConfigError, match="dedup.lines.sources names 'bokks', but the sources are: web, books"):
        parse_config(config(folder, {**ON, "sources": ["bokks"]}))


def test_paragraphs(folder, written):
    lines = {**ON, "unit": "paragraph"}
    found = measured(load_run(run(parse_config(config(folder, lines, "paragraphs"))).config.run))
    settings = LinesConfig(**lines)
    for source, raw in written.items():
        normalised = [fix_text(text) for text in raw]
        over = {piece for piece, number in counted(normalised, settings).items() if number > settings.max_documents}
        for n, text in enumerate(normalised):
            assert found[f"{source}{n}"][0] == removed(text, settings, over)[0]
    assert sum(signals["removed_lines"] > 0 for _, signals in found.values()) > 200


def test_a_file_that_could_not_be_read_for_a_moment_is_counted_again(tmp_path, monkeypatch):
    write(tmp_path, 60)
    lines = {**ON, "max_documents": 30}
    expected = load_run(run(parse_config(config(tmp_path, lines, "whole"))).config.run)
    opens = Store.open_input

    def refuses(store, path):
        if path.endswith("web-1.jsonl"):
            raise PermissionError(13, "Permission denied", path)
        return opens(store, path)

    settings = parse_config(config(tmp_path, lines, "run", max_unreadable_share=1.0))
    monkeypatch.setattr(Store, "open_input", refuses)
    partly = load_run(run(settings).config.run)
    assert partly.manifest["sources"]["web"]["boilerplate"]["lines"] == 0
    monkeypatch.setattr(Store, "open_input", opens)
    again = load_run(run(settings).config.run)
    assert again.manifest["sources"] == expected.manifest["sources"]
    assert again.manifest["sources"]["web"]["boilerplate"]["lines"] > 0
    assert shards(again) == shards(expected)
