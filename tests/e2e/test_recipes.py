"""Every recipe is written by `winnow init`, and runs on real files or on files of the real form."""

import bz2
import json

import pytest
import yaml

from tests.support.commands import winnow
from tests.support.corpora import articles, documents_of
from tests.support.wikis import dump, page, revision
from winnow.config.load import load_config
from winnow.config.recipe_files import recipe_files, recipe_names
from winnow.finished.explain import explain, find
from winnow.runs.run import run

pytestmark = pytest.mark.slow
SMALL = ["compute.executor=inline", "report=off", "shards.sequence_tokens=255"]
ARCHIVES = "warc/allenai+dolma/*.warc.gz"


def ran(folder, name: str, *changes: str):
    """A recipe as `winnow init` writes it, run with other sources."""
    assert winnow("init", str(folder / "recipe.yaml"), "--recipe", name)[0] == 0
    return run(load_config(str(folder / "recipe.yaml"), [f"run={folder / 'run'}", *SMALL, *changes])).run


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_says_what_it_follows_and_is_written_whole(name, tmp_path):
    code, told = winnow("init", str(tmp_path / "c.yaml"), "--recipe", name)
    assert code == 0
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    config, *beside = recipe_files(name).items()
    assert written == {"c.yaml": config[1], **dict(beside)}
    head = config[1][: config[1].index("run:")]
    assert "Other:" in head or "Follows" in head
    assert winnow("init", str(tmp_path / "c.yaml"), "--recipe", name)[0] == 2
    assert yaml.safe_load(config[1])["sources"]


def test_an_unknown_recipe_is_refused_with_those_there_are(tmp_path):
    code, told = winnow("init", str(tmp_path / "c.yaml"), "--recipe", "fine-web")
    assert code == 2
    assert "did you mean 'fineweb'" in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["common-crawl", "dclm", "fineweb"])
def test_recipes_of_crawls_on_real_archives(name, tmp_path, shared):
    if name == "fineweb":
        pytest.importorskip("trafilatura", reason="the extra `trafilatura` is not installed")
    finished = ran(tmp_path, name, f"sources.0.path={shared / ARCHIVES}", "sources.0.first_files=null")
    outcomes = finished.totals(finished.ledger_stage, "outcome")
    assert outcomes["kept"] > 10
    assert outcomes["filtered"] > 10
    assert finished.manifest["sources"]["crawl"]["no_documents"]


def test_wikipedia_on_a_dump(tmp_path):
    texts = [text for text in articles(5, 40) if len(text.split()) > 80][:30]
    pages = [
        page(n, f"Article {n}", revision(n, f"'''Article''' [[of|about]] it. {{{{box}}}}\n\n{text}"))
        for n, text in enumerate(texts, 1)
    ]
    pages += [page(90, "Stub", revision(90, "A [[short]] one.")), page(91, "Talk", revision(91, texts[0]), ns=1)]
    (tmp_path / "x-pages-articles-multistream1.xml-p1p91.bz2").write_bytes(bz2.compress(dump(*pages)))
    (tmp_path / "x-pages-articles-multistream-index1.txt-p1p91.bz2").write_bytes(bz2.compress(b"640:1:Article 1\n"))
    shipped = str(yaml.safe_load(recipe_files("wikipedia")["wikipedia.yaml"])["sources"][0]["path"]).rpartition("/")[2]
    finished = ran(tmp_path, "wikipedia", f"sources.0.path={tmp_path}/{shipped}")
    outcomes = finished.totals(finished.ledger_stage, "outcome")
    assert outcomes["filtered"] == 1
    assert outcomes["kept"] >= 25


def test_conversations(tmp_path):
    turns = articles(6, 60)
    chats = [
        {
            "messages": [
                {"role": "system", "content": "Be short."},
                {"role": "user", "content": a},
                {"role": "assistant", "content": b},
            ]
        }
        for a, b in zip(turns[::2], turns[1::2], strict=True)
        if a and b
    ]
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(chat) + "\n" for chat in chats))
    finished = ran(tmp_path, "instructions", f"sources.0.path={tmp_path}/chats.jsonl", "shards.sequence_tokens=2048")
    assert finished.totals(finished.ledger_stage, "outcome")["kept"] > 20


@pytest.mark.parametrize(
    ("path", "asked", "answered", "pairs"),
    [("evals/gsm8k/test.jsonl", "question", "answer", 1319), ("evals/mbpp/mbpp.jsonl", "text", "code", 974)],
)
def test_instructions_on_real_questions_and_answers(path, asked, answered, pairs, tmp_path, shared):
    source = [f"path={shared / path}", "messages=null", f"prompt={asked}", f"response={answered}"]
    finished = ran(tmp_path, "instructions", *(f"sources.0.{setting}" for setting in source))
    outcomes = finished.totals(finished.ledger_stage, "outcome")
    assert sum(outcomes.values()) == pairs and outcomes["kept"] > 0.9 * pairs
    first = json.loads((shared / path).read_text(encoding="utf-8").splitlines()[0])
    (doc,) = find(finished, "0", by_number=True)
    text = explain(finished, doc).text
    end = text.find(first[asked].strip()[-7:])
    assert 0 < end < text.find(first[answered].strip()[:5], end)


def test_code_on_real_files(tmp_path, shared):
    lines = []
    for number, record in enumerate(documents_of(shared / "corpus" / "14-code-dev.jsonl.zst")):
        if number % 8 == 0:
            lines.append(json.dumps(record))
    (tmp_path / "code.jsonl").write_text("\n".join(lines) + "\n")
    finished = ran(tmp_path, "code", f"sources.0.path={tmp_path}/code.jsonl")
    outcomes, failed = finished.totals(finished.ledger_stage, "outcome"), finished.totals("filter", "failed")
    assert outcomes["kept"] > 50
    assert failed.get("long_lines", 0) + failed.get("one_long_line", 0) > 0
