"""Text out of HTML by a function of the user's: loaded, pinned and isolated like an operator."""

import json
from pathlib import Path

import pytest
import yaml

from tests.operators import docs_files
from tests.support.archives import page, write_archive
from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from tests.support.finished import shards_of
from winnow.config.load import load_config
from winnow.errors import ConfigError
from winnow.finished.tables import table_of
from winnow.runs.run import run
from winnow.runs.state import load_run

OWN = '''
"""A whole extractor."""
import re
import winnow


@winnow.mapper(needs=["text", "url"])
def paragraphs(batch, *, mark="p"):
    found = []
    for html, url in zip(batch["text"].to_pylist(), batch["url"].to_pylist(), strict=True):
        assert html.startswith("<html")
        if "page 3," in html:
            raise ValueError("a page of secrets")
        found.append(f"from {url}: " + " ".join(re.findall(f"<{mark}>(.*?)</{mark}>", html)))
    return found
'''


def config(folder: Path, name: str, extract: object, **sections) -> dict:
    sources = [
        source_of(folder / "a.warc.gz", "crawl", extract=extract, id="url"),
        source_of(folder / "in.jsonl", "fields", html="body", id="id", keep=["url"], extract=extract),
    ]
    given = {"sequence_tokens": 63, "splits": {"val": 0.1}}
    return run_config(
        folder / name, *sources, shards=given, dedup="off", compute={"max_unreadable_share": 0.5}, **sections
    )


def done(folder: Path, name: str, extract: object, **sections):
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(config(folder, name, extract, **sections)))
    context = run(load_config(str(file)))
    rows = table_of(load_run(str(folder / name)), "documents").to_table().to_pylist()
    return context, {row["id"]: row["text"] for row in rows}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_archive(tmp_path / "a.warc.gz", [page(n) for n in range(6)])
    rows = [{"id": f"r{n}", "url": f"http://f.example/{n}", "body": page(n + 10).decode()} for n in range(4)]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, [*rows, {"id": "deep", "body": "<div>" * 3000}])))
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


def test_pages_become_text_by_a_function_of_ones_own(folder: Path) -> None:
    own = {"use": "own.py:paragraphs"}
    context, found = done(folder, "run", own)
    assert len(found) == 9 and all("<" not in text for text in found.values())
    assert found["http://example.org/1"].startswith("from http://example.org/1: This is sentence 0 of page 1")
    assert found["r2"].startswith("from http://f.example/2: This is sentence 0 of page 12")
    reasons = context.run.totals("measure", "unreadable_reason")
    assert reasons == {"operator paragraphs": 1, "page too deep": 1}
    code, told = winnow("why", "<urn:uuid:00000000-0000-4000-8000-000000000003>", str(folder / "run"))
    assert code == 0 and "operator paragraphs: raises ValueError (own.py, line 13)" in told and "secrets" not in told, (
        told
    )

    # the same again does nothing; another source of the function reads anew; what is not of it reads nothing
    computed = {path: path.stat().st_mtime_ns for path in (folder / "run" / "work").rglob("*") if path.is_file()}
    done(folder, "run", own)
    after = {path: path.stat().st_mtime_ns for path in (folder / "run" / "work").rglob("*") if path.is_file()}
    assert after == computed
    # the run folder's own config does the run again, without the file
    (folder / "own.py").rename(folder / "gone.py")
    code, said = winnow("run", str(folder / "run" / "config.yaml"))
    assert code == 0, said
    assert load_run(str(folder / "run")).manifest == context.run.manifest
    (folder / "own.py").write_text(OWN.replace('"from {url}: "', '"out of {url}: "'))
    _, changed = done(folder, "run", own)
    assert changed["r2"].startswith("out of http://f.example/2: ")
    done(folder, "other", {**own, "mark": "h1"})
    assert shards_of(folder / "other") != shards_of(folder / "run")


@pytest.mark.parametrize(
    ("source", "extract", "why"),
    [
        (OWN.replace("mapper", "signal"), {"use": "own.py:paragraphs"}, "a page becomes text by a mapper"),
        (OWN.replace('"url"]', '"language"]'), {"use": "own.py:paragraphs"}, "needs the column 'language'"),
        (OWN, {"use": "own.py:none"}, "none"),
        (OWN, {"use": "own.py:paragraphs", "marc": "p"}, "did you mean|mark"),
        (OWN, {"used": "own.py:paragraphs"}, "use"),
        (OWN, "mian", "main"),
    ],
)
def test_what_cannot_be_one_is_refused(folder: Path, source: str, extract: object, why: str) -> None:
    (folder / "own.py").write_text(source)
    with pytest.raises(ConfigError, match=why) as refused:
        done(folder, "run", extract)
    assert "extract" in str(refused.value)


def test_a_function_that_gives_another_text_each_time_is_told(folder: Path) -> None:
    (folder / "own.py").write_text(OWN.replace('f"from {url}: "', "str(id(html)) + str(object())"))
    with pytest.raises(Exception, match="the same document must always give the same result"):
        done(folder, "run", {"use": "own.py:paragraphs"})


def test_the_example_of_the_docs_runs(folder: Path) -> None:
    (folder / "paragraphs.py").write_text(docs_files.files()["paragraphs.py"])
    _, found = done(folder, "run", {"use": "paragraphs.py:paragraphs", "mark": "p"})
    assert len(found) == 10 and found["r1"].startswith("This is sentence 0 of page 11")
