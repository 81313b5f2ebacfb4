"""Texts made of a run's documents, and the run that takes them in: provenance, splits, counts, resuming, faults."""

import json
import random
import shutil
import sys
import threading
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from tests.support.corpora import article
from tests.support.finished import ledger, shards_of
from tests.support.language_server import Reply, language_server, passage_in, upside_down
from tests.support.processes import kill_when
from tests.support.small_work import many_partitions, many_units
from winnow.audit.verify.verify import check_shards, check_work, recount
from winnow.augment import endpoint as client
from winnow.augment.config import AugmentConfig
from winnow.config.config import parse_config
from winnow.errors import BooksError, ConfigError, InputError
from winnow.finished.augment.augment import augment
from winnow.finished.explain import explain, find
from winnow.finished.families import links_of
from winnow.flow.family_outcomes import synthetic_counts
from winnow.report.manifest import manifest_of
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.schemas import KEPT, NEAR_DUPLICATE
from winnow.stages.families import families

SHARDS = {"sequence_tokens": 127, "shard_mb": 1, "splits": {"val": 0.3, "test": 0.2}, "seed": 3}
KEY = "sk-secret-of-the-tests"


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def at(tmp_path_factory) -> Path:
    """A finished run over 60 articles, of which one speaks of a mailbox and one is long."""
    folder = tmp_path_factory.mktemp("augment")
    rng = random.Random(5)
    rows = [{"id": f"w{n}", "text": f"Page {n}. {article(rng, rng.randint(14, 40))}"} for n in range(60)]
    rows[7]["text"] += " Write to jane@x.org about it."
    rows[9]["text"] = "\n\n".join(f"Part {n}. {article(rng, 12)}" for n in range(12))
    web = source_of(write(folder / "web.jsonl", rows), "web", id="id", licence="CC-BY-4.0")
    config = run_config(folder / "run", web, measure={"operators": [{"use": "pii"}]}, shards=SHARDS)
    run(parse_config(config))
    return folder


def settings(at: Path, out: object, server, **more) -> AugmentConfig:
    endpoint = {"url": server.url, "model": "small", **more.pop("endpoint", {})}
    operators = more.pop("operators", [{"use": "rephrase"}])
    return AugmentConfig.model_validate(
        {"of": str(at / "run"), "out": str(out), "endpoint": endpoint, "operators": tuple(operators), **more}
    )


def made_source(out: object, name: str = "made", **more) -> dict:
    return source_of(
        f"{out}/documents/*.parquet",
        name,
        id="id",
        augmented_from="parent",
        keep=["operator", "model", "prompt"],
        **more,
    )


def second_config(at: Path, folder: object, *sources: dict, **sections) -> dict:
    web = source_of(at / "web.jsonl", "web", id="id", licence="CC-BY-4.0")
    return run_config(folder, web, *sources, **{"shards": SHARDS, **sections})


def files_of(out: Path) -> dict[str, bytes]:
    folders = [out / name for name in ("documents", "left_out", "prompts")]
    return {
        str(path.relative_to(out)): path.read_bytes() for f in folders if f.is_dir() for path in sorted(f.iterdir())
    }


def rows_of(out: Path, folder: str = "documents") -> list[dict]:
    return [row for path in sorted((out / folder).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def talk(prompt: str) -> "str | Reply":
    """A model with habits: some refusals, pairs where these are asked for, and else the words the other way round."""
    text = passage_in(prompt)
    if text.startswith("Page 3."):
        return "I'm sorry, but I can't help with that."
    if "Question: the question" in prompt:
        return "\n".join(f"Question: What of {w}?\nAnswer: {w} and more." for w in text.split()[:40:4])
    return f"Here is the text:\n\n{upside_down(text)}"


@pytest.fixture(scope="module")
def made(at) -> Path:
    """Texts of all documents by two operators."""
    with language_server(talk) as server:
        done = augment(settings(at, at / "made", server, operators=[{"use": "rephrase"}, {"use": "questions"}]))
        assert len(server.asked) == done.tasks == done.asked
        assert all("jane@x.org" not in prompt for prompt in server.prompts)  # edits are made where texts leave
    return at / "made"


@pytest.fixture(scope="module")
def second(at, made) -> Path:
    run(parse_config(second_config(at, at / "second", made_source(made))))
    return at / "second"


def test_what_is_written(at, made):
    rows, left = rows_of(made), rows_of(made, "left_out")
    manifest = json.loads((made / "augment.json").read_text())
    assert manifest["tasks"] == len(rows) + len(left)
    assert manifest["left_out"] == dict(Counter(row["reason"] for row in left)) == {"refused": 2}
    assert {row["parent"] for row in left} == {"w3"}
    assert left[0]["answer"] == "I'm sorry, but I can't help with that."
    assert manifest["documents"] == {"web": 60}
    assert len({row["id"] for row in rows}) == len(rows)
    for row in rows:
        assert row["id"] == f"{row['parent']}#{row['operator']}.{row['passage']}"
        assert (row["parent_source"], row["licence"], row["model"]) == ("web", "CC-BY-4.0", "small-served")
        assert (made / "prompts" / f"{row['prompt']}.txt").is_file()
        assert not row["text"].startswith("Here is")
    assert manifest["first_lines_left_out"] == sum(row["operator"] == "rephrase" for row in rows)
    assert [row["passage"] for row in rows if row["parent"] == "w9" and row["operator"] == "rephrase"] == [0, 1, 2]
    listed = [entry["path"] for entries in manifest["files"].values() for entry in entries]
    assert sorted(listed) == sorted(name for name in files_of(made) if not name.startswith("prompts"))


def test_every_kept_text_is_in_the_split_of_its_parent(second, made):
    rows = ledger(second)
    parents = {row["id"]: row["parent"] for row in rows_of(made)}
    kept = [name for name in parents if rows[name]["outcome"] == KEPT]
    assert len(kept) > 100
    assert {rows[name]["split"] for name in kept} == {"train", "val", "test"}
    assert all(rows[name]["split"] == rows[parents[name]]["split"] for name in kept if rows[parents[name]]["split"])


def test_it_is_told_apart(second, made):
    finished = load_run(str(second))
    rows, parents = ledger(second), {row["id"]: row["parent"] for row in rows_of(made)}
    manifest = json.loads(manifest_of(finished))
    kept = [name for name in parents if rows[name]["outcome"] == KEPT]
    told = manifest["synthetic"]
    assert told["documents"] == len(kept) == told["sources"]["made"]["documents"]
    assert told["documents_of_all"] == sum(row["outcome"] == KEPT for row in rows.values())
    assert told["tokens"] == manifest["sources"]["made"]["tokens"] > 0
    assert told["kept_by_outcome_of_parent"] == dict(Counter(rows[parents[name]]["outcome"] for name in kept))
    code, text = winnow("summary", str(second))
    assert code == 0
    assert f"synthetic: {len(kept):,} (" in text
    assert "synthetic texts kept, by what became of their parents: kept" in text
    code, sheet = winnow("datasheet", str(second))
    assert code == 0
    sheets = "".join(path.read_text() for path in second.rglob("*.md"))
    assert f"{len(kept):,} of the {told['documents_of_all']:,} documents kept are synthetic" in sheets
    synthetic = sheets.partition("### 2.5 Synthetic data")[2].partition("### 2.6")[0]
    assert f"- made: {made}/documents/\\*.parquet; {told['tokens']:,} tokens" in synthetic
    assert check_shards(finished) == check_work(finished, hashes=True) == []
    assert all(balance.expected == balance.found for balance in recount(finished))


def test_why_tells_of_parent_and_children(second, made):
    code, text = winnow("why", "w5#rephrase.0", str(second))
    assert code == 0
    prompt = next(row["prompt"] for row in rows_of(made) if row["operator"] == "rephrase")
    for line in ("parent: w5", "operator: rephrase", "model: small-served", f"prompt: {prompt}"):
        assert f"field      {line}" in text
    finished = load_run(str(second))
    (parent,) = find(finished, "w5")
    assert f"made of    w5  (number {parent}), kept" in text
    code, text = winnow("why", "w5", str(second))
    assert "made of it w5#rephrase.0  (number " in text
    assert "made of it w5#questions.0  (number " in text
    assert explain(finished, parent).family.number_of_children == 2
    assert "made of" not in winnow("why", "w3", str(second))[1]


def test_the_books_do_not_close_without_the_links(at, made, tmp_path, monkeypatch):
    monkeypatch.setattr(families, "_edges", lambda _family, doc: {"a": doc[:0], "b": doc[:0]})
    with pytest.raises(BooksError, match="in another split than their parent: 0 expected, .. found"):
        run(parse_config(second_config(at, tmp_path / "run", made_source(made))))


@pytest.mark.slow
def test_the_same_bytes_in_other_units_with_other_workers(at, made, second, tmp_path, monkeypatch):
    many_units(monkeypatch)
    many_partitions(monkeypatch)
    run(parse_config(second_config(at, tmp_path / "small", made_source(made))))
    assert shards_of(tmp_path / "small") == shards_of(second)
    small, large = load_run(str(tmp_path / "small")), load_run(str(second))
    assert len(small.of("family_links")) > 1 == len(large.of("family_links"))
    assert synthetic_counts(small) == synthetic_counts(large)
    links, expected = (dict(zip(*links_of(run).to_pydict().values(), strict=True)) for run in (small, large))
    assert links == expected and len(links) > 100
    config = second_config(at, tmp_path / "two", made_source(made), compute={"executor": "processes", "workers": 2})
    monkeypatch.undo()
    run(parse_config(config))
    assert shards_of(tmp_path / "two") == shards_of(second)


def test_another_number_of_requests_gives_the_same_files_and_asks_nothing_twice(at, made, tmp_path):
    with language_server(lambda prompt: Reply(talk(prompt), slow=random.random() / 50)) as server:
        operators = [{"use": "rephrase"}, {"use": "questions"}]
        more = {"endpoint": {"requests_at_once": 40}, "operators": operators}
        augment(settings(at, tmp_path, server, **more))
        assert server.most_at_once > 8
        assert files_of(tmp_path) == files_of(made)
        asked, times = len(server.asked), {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.parquet")}
        augment(settings(at, tmp_path, server, **{**more, "endpoint": {"requests_at_once": 1}}))
        assert len(server.asked) == asked
        assert {
            p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.parquet")
        } == times  # a run takes them for those it read
        augment(settings(at, tmp_path, server, **{**more, "endpoint": {"parameters": {"temperature": 0.1}}}))
        assert len(server.asked) == 2 * asked


@pytest.mark.slow
def test_killed_on_the_way_it_asks_no_committed_answer_again(at, made, tmp_path):
    asked: Counter[str] = Counter()
    gate = threading.Event()

    def slowly(prompt: str) -> Reply:
        asked[prompt] += 1
        return Reply(talk(prompt), slow=0 if gate.is_set() else 0.3)

    with language_server(slowly) as server:
        config = settings(at, tmp_path, server, operators=[{"use": "rephrase"}, {"use": "questions"}])
        (tmp_path / "a.json").write_text(config.model_dump_json(exclude_none=True))
        line = [sys.executable, "-m", "jobs", "augment", str(tmp_path / "a.json")]
        assert kill_when(line, lambda: len(list((tmp_path / "answers").glob("0*.parquet"))) >= 2)
        committed = sum(pq.read_metadata(p).num_rows for p in (tmp_path / "answers").glob("0*.parquet"))
        assert 0 < committed < len(rows_of(made))
        before = sum(asked.values())
        gate.set()
        augment(config)
        assert sum(asked.values()) - before == len(rows_of(made)) + 2 - committed
    assert files_of(tmp_path) == files_of(made)
    assert not list(tmp_path.rglob(".draft-*"))


def test_a_budget_ends_the_asking_and_a_larger_one_goes_on(at, made, tmp_path):
    operators = [{"use": "rephrase"}, {"use": "questions"}]
    with language_server(talk) as server:
        done = augment(settings(at, tmp_path, server, operators=operators, budget={"max_requests": 20}))
        assert len(server.asked) == 20 == done.spent.requests
        assert done.unused["over_budget"] == done.tasks - 20
        assert len(rows_of(tmp_path)) + done.unused.get("refused", 0) == 20
        again = augment(settings(at, tmp_path, server, operators=operators, budget={"max_requests": 20}))
        assert len(server.asked) == 20
        assert again.made == done.made
        augment(settings(at, tmp_path, server, operators=operators, budget={"max_requests": 1000}))
    assert files_of(tmp_path) == files_of(made)


@pytest.mark.parametrize(
    ("nonsense", "reason"),
    [
        (lambda _prompt: "I cannot help with that.", "refused"),
        (lambda prompt: prompt, "repeats_prompt"),
        (lambda _prompt: Reply("", status=400, raw=b"context length"), "not_taken"),
    ],
)
def test_a_model_that_talks_nonsense_is_stopped_before_it_has_cost_much(at, tmp_path, nonsense, reason):
    with language_server(nonsense) as server:
        config = settings(at, tmp_path, server, endpoint={"requests_at_once": 1}, max_unused_share=0.4)
        with pytest.raises(InputError, match=rf"answers are of no use \({reason} \d+.*nothing was written"):
            augment(config)
    assert not (tmp_path / "documents").exists()


def test_the_same_answer_to_different_passages_is_no_text_of_either(at, tmp_path):
    said = article(random.Random(6), 20)

    def mostly(prompt: str) -> str:
        text = passage_in(prompt)
        return said if text.startswith(("Page 1", "Page 2")) else upside_down(text)

    with language_server(mostly) as server:
        done = augment(settings(at, tmp_path, server, operators=[{"use": "rephrase", "max_length": 9.0}]))
    left = {row["parent"] for row in rows_of(tmp_path, "left_out")}
    assert done.unused == {"same_answer": 22}
    assert left == {"w1", "w2", *(f"w{n}" for n in range(10, 30))}


def test_an_endpoint_that_is_busy_and_one_that_goes_away(at, tmp_path, monkeypatch):
    monkeypatch.setattr(client, "FIRST_WAIT_SECONDS", 0.001)
    count = Counter()

    def busy(prompt: str) -> "str | Reply":
        count[prompt] += 1
        return talk(prompt) if count[prompt] > 2 else Reply("", status=429)

    with language_server(busy) as server:
        done = augment(settings(at, tmp_path / "busy", server))
        assert done.failed_tries == {"status 429": 2 * done.tasks}
        assert "no_answer" not in done.unused
    with language_server(lambda prompt: Reply("", status=503)) as server:
        config = settings(at, tmp_path / "gone", server, endpoint={"tries": 2})
        (tmp_path / "a.json").write_text(config.model_dump_json(exclude_none=True))
        code, text = winnow("augment", str(tmp_path / "a.json"))
    assert code == 75
    assert "20 requests in a row had no answer" in text
    assert not (tmp_path / "gone" / "documents").exists()
    assert not (tmp_path / "gone" / "lease.json").exists()


def test_the_key_is_nowhere(at, tmp_path, monkeypatch):
    monkeypatch.setenv("LLM_KEY", KEY)
    with language_server(
        lambda prompt: Reply("", status=400, raw=KEY.encode()) if "Page 8." in prompt else talk(prompt)
    ) as server:
        config = settings(at, tmp_path, server, endpoint={"key_from": "LLM_KEY"})
        (tmp_path / "a.json").write_text(config.model_dump_json(exclude_none=True))
        code, text = winnow("augment", str(tmp_path / "a.json"))
        assert (code, server.keys) == (0, {f"Bearer {KEY}"})
    assert KEY not in text
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes()
    assert all(KEY not in str(row) for row in [*rows_of(tmp_path, "left_out"), *rows_of(tmp_path, "answers")])


def test_back_translation_asks_about_the_answer_and_own_prompts_in_their_order(at, tmp_path):
    (tmp_path / "own.txt").write_text("Tell a story of it. {text} It is in {original}.")
    operators = [
        {"use": "back_translation", "through": "German"},
        {"use": "prompt", "name": "story", "prompts": (str(tmp_path / "own.txt"),)},
    ]
    with language_server(lambda p: "Eine Geschichte. " + p[20:90] * 3 if p.startswith("Tell") else talk(p)) as server:
        done = augment(settings(at, tmp_path / "out", server, operators=operators, share=0.3))
        prompts = server.prompts
    assert 5 < done.taken.documents < 40
    there = [prompt for prompt in prompts if prompt.startswith("Translate the text between the two marks into German")]
    back = [prompt for prompt in prompts if prompt.startswith("The text between the two marks is in German")]
    assert len(there) == done.taken.passages
    assert 0 < len(back) <= len(there)
    assert {passage_in(prompt) for prompt in back} <= {upside_down(passage_in(p)) for p in there}
    assert sum(prompt.endswith("It is in English.") for prompt in prompts) == done.taken.passages
    assert done.made["story"] == done.taken.passages
    # both ways round it is the passage itself again: no new text
    assert done.made["back_translation"] == 0
    assert done.unused["copy"] == len(back)


def test_a_share_holds_every_smaller_one(at, tmp_path):
    with language_server(talk) as server:
        few, many = (augment(settings(at, tmp_path / str(s), server, share=s)) for s in (0.2, 0.6))
    parents = [{row["parent"] for row in rows_of(tmp_path / str(s))} for s in (0.2, 0.6)]
    assert few.taken.documents < many.taken.documents < 60
    assert parents[0] < parents[1]


def test_a_dry_run_sends_and_writes_nothing(at, tmp_path):
    with language_server(talk) as server:
        config = settings(at, tmp_path / "out", server, budget={"prompt_price": 1.0, "answer_price": 2.0})
        (tmp_path / "a.json").write_text(config.model_dump_json(exclude_none=True))
        code, text = winnow("augment", str(tmp_path / "a.json"), "--dry-run")
        assert (code, server.asked) == (0, [])
    assert "62 of 62 requests are not answered yet: about " in text
    assert "by your prices" in text
    assert not (tmp_path / "out").exists()


# families in a run


def family_run(at: Path, folder: Path, rows: list[dict], first: bool = False, **sections) -> dict[str, dict]:
    """The ledger of a run with some rows as synthetic texts; ``first``: their source is the first one."""
    web = source_of(at / "web.jsonl", "web", id="id")
    made = source_of(write(folder / "made.jsonl", rows), "made", id="id", augmented_from="of")
    sources = (made, web) if first else (web, made)
    run(parse_config(run_config(folder / "run", *sources, **{"shards": SHARDS, **sections})))
    return ledger(folder / "run")


def words(at: Path) -> dict[str, str]:
    return {row["id"]: row["text"] for row in map(json.loads, (at / "web.jsonl").read_text().splitlines())}


@pytest.mark.parametrize("first", [pytest.param(False, marks=pytest.mark.slow), True])
def test_no_document_goes_for_a_text_that_was_made_of_it_or_of_another(at, tmp_path, first, monkeypatch):
    many_partitions(monkeypatch)  # also of families
    texts = words(at)
    rows = [
        {"id": f"m{n}", "of": f"w{n}", "text": f"{texts[f'w{n}']} And one sentence more at the end."} for n in range(20)
    ]
    rows += [{"id": f"x{n}", "of": "w1", "text": texts[f"w{n}"]} for n in range(20, 30)]
    found = family_run(at, tmp_path, rows, first, dedup={"keep": ["source_priority", "longest"], "guard": "off"})
    assert all(found[f"w{n}"]["outcome"] == KEPT for n in range(60))
    near = [n for n in range(20) if found[f"m{n}"]["outcome"] == NEAR_DUPLICATE]
    assert len(near) > 15
    assert all(found[f"m{n}"]["keeper"] == found[f"w{n}"]["doc"] for n in near)
    assert {found[f"x{n}"]["outcome"] for n in range(20, 30)} == {"exact_duplicate"}
    code, text = winnow("summary", str(tmp_path / "run"))
    assert f"synthetic texts dropped as duplicates of their parent: {len(near):,}" in text


def test_texts_of_one_parent_stay_together_where_it_is_not_there_or_was_dropped(at, tmp_path):
    rng = random.Random(8)
    rows = [{"id": f"m{n}.{k}", "of": f"gone{n}", "text": article(rng, 20)} for n in range(30) for k in range(3)]
    rows += [{"id": f"n{n}", "of": None, "text": article(rng, 20)} for n in range(4)]
    found = family_run(at, tmp_path, rows)
    splits = [{found[f"m{n}.{k}"]["split"] for k in range(3)} for n in range(30)]
    assert all(len(one) == 1 for one in splits)
    assert set().union(*splits) == {"train", "val", "test"}
    text = winnow("summary", str(tmp_path / "run"))[1]
    assert "90 synthetic texts name a parent that this run has not read" in text
    assert "4 synthetic texts name no parent" in text


def test_texts_of_texts_are_of_one_family_and_ids_of_several_documents_join_them(at, tmp_path, monkeypatch):
    many_partitions(monkeypatch)  # also of families
    rng = random.Random(9)
    rows = [{"id": f"a{n}", "of": f"w{n}", "text": article(rng, 20)} for n in range(40)]
    rows += [{"id": f"b{n}", "of": f"a{n}", "text": article(rng, 20)} for n in range(40)]
    rows += [{"id": "w7", "of": "w50", "text": article(rng, 20)}]  # the id of another document
    rows += [{"id": "w55", "of": "w55", "text": article(rng, 20)}]  # that of its parent
    found = family_run(at, tmp_path, rows)
    assert all(found[f"b{n}"]["split"] == found[f"a{n}"]["split"] for n in range(40))
    assert all(found[f"a{n}"]["split"] == found[f"w{n}"]["split"] for n in range(40) if n != 7)
    finished = load_run(str(tmp_path / "run"))
    assert finished.total("family_links", "shared_ids") == 1
    one, other = find(finished, "w55")
    assert explain(finished, other).family.parent.doc == one
    assert explain(finished, one).family.parent is None


@pytest.mark.slow
def test_who_is_forgotten_takes_along_what_was_made_of_it(second, at, tmp_path):
    folder = tmp_path / "second"
    shutil.copytree(second, folder)
    (tmp_path / "ids").write_text("w5\n")
    code, text = winnow("forget", str(folder), "--ids", str(tmp_path / "ids"))
    assert code == 0, text
    for name, why in (("w5", "id"), ("w5#rephrase.0", "made of one"), ("w5#questions.0", "made of one")):
        assert f"{why}: {name} (" in text
        assert "removed_on_request" in winnow("why", name, str(folder))[1]


@pytest.mark.parametrize(
    ("dedup", "message"),
    [
        ("off", "augmented_from, and dedup is off"),
        ({"index": "/tmp/none/index"}, "augmented_from, and dedup.index is set"),
    ],
)
def test_runs_that_could_not_keep_families_together_are_refused(at, tmp_path, dedup, message):
    with pytest.raises(ConfigError, match=message):
        parse_config(second_config(at, tmp_path / "r", made_source(tmp_path), dedup=dedup))
