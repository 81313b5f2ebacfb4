"""Removal requests: what leaves, what stays, what is told and proven, and that nothing of it comes back."""

import json
import random
import shutil
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from tests.support.corpora import article
from tests.support.finished import shards_of, text_files_of
from winnow.audit.verify.verify import check_shards, check_work, recount
from winnow.config.config import parse_config
from winnow.errors import BooksError, ConfigError
from winnow.finished.explain import explain, find
from winnow.finished.forget import forget as forgetting
from winnow.finished.forget.forget import forget
from winnow.finished.forget.request import Request, read_ids, request_of
from winnow.flow.flow import balances
from winnow.looking.list_documents import Wanted, list_documents
from winnow.report.manifest import manifest_of
from winnow.runs import corpus
from winnow.runs.plan import plan_run
from winnow.runs.run import load_run_vocabulary, run
from winnow.runs.state import load_run
from winnow.schemas import KEPT, REMOVED_ON_REQUEST
from winnow.shards.dataset.several_sets import CORPUS_FORMAT

PERSON = "Jane (née O'Hara) lives at 12 Elm Street [flat 3.*]"


def texts() -> list[str]:
    """60 articles. 3 speaks of a person, 40 is 3 letter by letter, 41 nearly so; 42 is nearly 7."""
    rng = random.Random(11)
    found = [f"Page {n}. {article(rng, rng.randint(14, 40))}" for n in range(60)]
    middle = len(found[3]) // 2
    found[3] = f"{found[3][:middle]} {PERSON} {found[3][middle:]}"
    found[40] = found[3]
    for copy, of in ((41, 3), (42, 7)):
        words = found[of].split(" ")
        words[20] = words[-3] = "so"  # shorter, so that the guard lets it go
        found[copy] = " ".join(words)
    return found


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rows() -> list[dict]:
    hosts = {5: "x.org", 6: "x.org.example", 8: "x.org:8080"}
    return [
        {"id": f"d{n}", "url": f"https://{hosts.get(n, 'other.net')}/~jane{n}/", "text": text}
        for n, text in enumerate(texts())
    ]


def settings(folder: Path, path: Path, **sections) -> dict:
    shards = {"sequence_tokens": 255, "splits": {"val": 0.2}} | sections.pop("shards", {})
    source = source_of(path, "web", id="id", keep=["url"])
    documents = {"columns": ["id", "text", "split"]}
    dedup = {"keep": ["first"]}
    return run_config(folder, source, shards=shards, **{"documents": documents, "dedup": dedup} | sections)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A finished run; nobody writes in it."""
    folder = tmp_path_factory.mktemp("base")
    write(folder / "in.jsonl", rows())
    run(parse_config(settings(folder / "run", folder / "in.jsonl")))
    return folder


@pytest.fixture
def made(base, tmp_path) -> Path:
    shutil.copytree(base / "run", tmp_path / "run")
    return tmp_path / "run"


def again(base: Path, folder: Path, **sections):
    return run(parse_config(settings(folder, base / "in.jsonl", **sections)))


def outcomes(folder: Path) -> dict[str, str]:
    """By id, from the tables."""
    finished, found = load_run(str(folder)), {}
    for part, record in zip(finished.parts, finished.ledger, strict=True):
        ids = pq.read_table(finished.store.path(part.documents["path"])).column("id").to_pylist()
        decided = pq.read_table(finished.store.path(record.outputs["decisions"].path)).column("outcome").to_pylist()
        found |= dict(zip(ids, decided, strict=True))
    return found


def removed(folder: Path) -> set[str]:
    return {name for name, outcome in outcomes(folder).items() if outcome == REMOVED_ON_REQUEST}


def stream(folder: Path, shards: str | None = None) -> dict[str, str]:
    """The text of each shard by path, its rows end to end, read by pyarrow alone."""
    finished = load_run(str(folder))
    vocabulary, place = load_run_vocabulary(finished.config), Path(folder, shards or finished.shards)
    return {
        path.name: vocabulary.decode(pq.read_table(path).column("input_ids").combine_chunks().flatten()).decode(
            "utf-8", "replace"
        )
        for path in sorted(place.glob("*.parquet"))
    }


def windows(text: str, words: int = 50) -> set[str]:
    found = text.split()
    return {" ".join(found[at : at + words]) for at in range(len(found) - words + 1)}


def holds(folder: Path) -> None:
    """Books, tables, files and manifest agree."""
    finished = load_run(str(folder))
    assert check_shards(finished) + check_work(finished, hashes=True) == []
    for equations in (balances(finished), recount(finished)):
        assert [str(b) for b in equations if b.expected != b.found] == []
    assert manifest_of(finished) == finished.store.read(f"{finished.shards}/manifest.json")


def proof_of(folder: Path, number: str = "001") -> dict:
    return json.loads((folder / f"forget/{number}/proof.json").read_text())


def ids_file(folder: Path, *names: str) -> str:
    (folder / "ids.txt").write_text("\ufeff" + "\r\n".join(names) + "\n\n", encoding="utf-8")
    return str(folder / "ids.txt")


def test_a_document_and_its_copy_leave(base, made, tmp_path):
    old, names = load_run(str(made)), ids_file(tmp_path, "d3", "nobody", "d3 ")
    before, written = outcomes(made), text_files_of(made)
    code, told = winnow("forget", str(made), "--ids", names, "--reason", "ticket 7 \x1b[31m")
    assert code == 0, told
    assert "unknown id: nobody" in told and "unknown id: d3 \n" in told and "\x1b" not in told
    assert removed(made) == {"d3", "d40"}
    assert {n: o for n, o in outcomes(made).items() if n not in ("d3", "d40")} == {
        n: o for n, o in before.items() if n not in ("d3", "d40")
    }
    holds(made)
    finished = load_run(str(made))
    assert finished.manifest["books"]["outcomes"][REMOVED_ON_REQUEST] == 2
    assert finished.manifest["removals"]["before"] == {"exact_duplicate": 1, "kept": 1}
    assert finished.shards != old.shards and (made / old.shards / "manifest.json").exists()
    assert text_files_of(made).keys() and text_files_of(made) != written
    clean = made / finished.manifest["documents"]["folder"]
    written = {name for path in clean.rglob("*.parquet") for name in pq.read_table(path).column("id").to_pylist()}
    assert written == {name for name, outcome in outcomes(made).items() if outcome == KEPT}

    proof = proof_of(made)
    assert (proof["unknown_ids"], proof["asked"]["reason"]) == (["d3 ", "nobody"], "ticket 7 \x1b[31m")
    assert [(d["id"], d["found_by"], d["outcome"]) for d in proof["documents"]] == [
        ("d3", "id", "kept"),
        ("d40", "exact copy", "exact_duplicate"),
    ]
    (place,) = proof["documents"][0]["places"]
    text, (first, last) = texts()[3], (place["rows"][0][0], place["rows"][-1][1])
    old_text = stream(made, old.shards)
    assert len(place["shards"]) == 1 and text in old_text[place["shards"][0]]
    held = pq.read_table(made / old.shards / place["shards"][0]).column("input_ids").combine_chunks()
    span = held.slice(first, last - first + 1).flatten()
    assert text in load_run_vocabulary(old.config).decode(span).decode("utf-8", "replace")
    new_windows = set().union(*map(windows, stream(made).values()))
    assert windows(text) and not windows(text) & new_windows - windows(texts()[41])
    assert PERSON in "".join(old_text.values()) and PERSON not in "".join(stream(made).values())
    assert proof["check"]["passages"] == 0 and proof["check"]["tokens"] > 5000
    assert old.shards in proof["still_holds"]["old_sets"]
    listed = json.loads((made / "forget/001/list.json").read_text())
    assert (len(listed["ids"]), len(listed["texts"])) == (2, 1)  # of the copy, too: its text can be read anew
    assert (
        "Elm" not in (made / "forget/001/list.json").read_text()
        and '"d3"' not in (made / "forget/001/list.json").read_text()
    )


@pytest.mark.slow
def test_questions_know_it(made):
    code, told = winnow("forget", str(made), "--match", PERSON)
    assert code == 0, told
    finished = load_run(str(made))
    story = explain(finished, *find(finished, "d40"))
    assert (story.outcome, story.left_out.rule, story.places) == (REMOVED_ON_REQUEST, "removal.id", ())
    _, told = winnow("why", "d40", str(made))
    assert "left out   removal.id: a removal request lists its id" in told
    listed = list_documents(finished, Wanted(outcome=REMOVED_ON_REQUEST), "input", 9, 0)
    assert [d.id for d in listed.documents] == ["d3", "d40", "d41"]  # 41 is nearly 3, and holds the text as well
    assert list_documents(finished, Wanted(rule="removal.id"), "input", 9, 0).found == 3
    _, told = winnow("summary", str(made))
    said = "3 documents removed (3 by id; without the requests: 1 exact_duplicate, 1 kept, 1 near_duplicate)"
    assert f"removal requests: {said}" in " ".join(told.split())
    assert "removed_on_request" in told
    assert [stage.name for stage in plan_run(finished.config).stages if stage.units is None] == []


def test_no_copy_comes_in_for_it_and_near_ones_go_when_asked(made, tmp_path):
    keeper, other = "d7", "d42"
    near = str(tmp_path / "near")
    shutil.copytree(made, near)
    code, told = winnow("forget", str(made), "--ids", ids_file(tmp_path, keeper))
    assert code == 0, told
    assert "1 near-duplicates were dropped for them and stay dropped" in told
    assert (removed(made), outcomes(made)[other]) == ({keeper}, "near_duplicate")
    code, told = winnow("forget", near, "--ids", ids_file(tmp_path, other))
    assert code == 0, told
    assert f"1 near-duplicates of them stay in the set, such as {keeper}; --near-duplicates" in told
    assert removed(Path(near)) == {other}
    standing = proof_of(Path(near))["check"]["standing"]  # what the near one says still stands in it, and that is told
    assert standing and {name for passage in standing for name in passage["also_in"]} == {keeper}
    assert standing[0]["words"] >= 50
    code, told = winnow("forget", near, "--ids", ids_file(tmp_path, other), "--near-duplicates")
    assert code == 0, told
    assert removed(Path(near)) == {keeper, other}
    assert proof_of(Path(near), "002")["check"]["standing"] == []
    for folder in (made, Path(near)):
        holds(folder)


@pytest.mark.slow
def test_what_the_guard_kept_is_a_near_duplicate_too(base, tmp_path):
    rng = random.Random(4)
    text = article(rng, 60)
    words = text.split(" ")
    write(tmp_path / "in.jsonl", [
        {"id": "long", "text": text + " the end of it all", "url": ""},
        {"id": "short", "text": " ".join(words[:-12]), "url": ""},
        *({"id": f"x{n}", "text": article(rng, 30), "url": ""} for n in range(20)),
    ])  # fmt: skip
    dedup = {"keep": ["first"], "guard": {"min_containment": 1.0, "keeper_not_shorter": True}}
    run(parse_config(settings(tmp_path / "run", tmp_path / "in.jsonl", dedup=dedup)))
    kept = {name for name in ("long", "short") if outcomes(tmp_path / "run")[name] == KEPT}
    done = forget(str(tmp_path / "run"), Request(ids=("short",), near=True))
    assert removed(tmp_path / "run") == {"long", "short"}, kept
    assert done.found is not None


@pytest.mark.slow
def test_the_same_bytes_as_a_run_that_knew_of_the_request(base, made, tmp_path):
    forget(str(made), Request(ids=("d3", "d9"), near=True))
    fresh = tmp_path / "fresh"
    shutil.copytree(made / "forget", fresh / "forget")
    context = again(base, fresh)
    assert context.run.removals
    assert shards_of(fresh) == shards_of(made)
    assert text_files_of(fresh) == text_files_of(made)
    assert removed(fresh) == removed(made) == {"d3", "d9", "d40", "d41"}
    holds(fresh)


@pytest.mark.slow
def test_texts_that_are_written_another_way_bring_no_copy_back(base, tmp_path):
    """The copy that is asked for is a duplicate; the document that was kept for it has another id."""
    write(tmp_path / "in.jsonl", [row | {"text": f"\u201c{row['text']}\u201d"} for row in rows()])
    run(parse_config(settings(tmp_path / "run", tmp_path / "in.jsonl")))
    assert outcomes(tmp_path / "run")["d3"] == KEPT
    forget(str(tmp_path / "run"), Request(ids=("d40",)))
    for normalise in ({"uncurl_quotes": False}, {"ftfy": False}):
        again(tmp_path, tmp_path / "run", measure={"normalise": normalise})
        assert removed(tmp_path / "run") == {"d3", "d40"}


@pytest.mark.slow
def test_the_run_again_brings_nothing_back(base, made):
    forget(str(made), Request(ids=("d3",)))
    shards = load_run(str(made)).shards
    context = again(base, made)
    assert {s.name for s in context.engine.summaries if s.units > s.reused} == set()
    assert (load_run(str(made)).shards, removed(made)) == (shards, {"d3", "d40"})
    again(base, made, shards={"seed": 5}, filter={"mode": "filter"})
    assert removed(made) == {"d3", "d40"}
    holds(made)


@pytest.mark.slow
def test_only_what_depends_on_it_is_computed(base, made, monkeypatch, tmp_path):
    from tests.support.small_work import many_units

    many_units(monkeypatch)
    context = again(base, tmp_path / "parts")
    parts = len(context.run.parts)
    assert parts > 3
    engines = []
    make = forgetting.Engine
    monkeypatch.setattr(forgetting, "Engine", lambda *a, **k: engines.append(make(*a, **k)) or engines[-1])
    forget(str(tmp_path / "parts"), Request(ids=("d9",)))
    done = {s.name: s.units - s.reused for s in engines[0].summaries}
    assert done == {
        "removals": parts, "shuffle": 1, "layout": 1, "shards": 2,
        "document_shuffle": 1, "document_layout": 1, "document_shards": 2, "standing": 2,
    }  # fmt: skip
    holds(tmp_path / "parts")


@pytest.mark.slow
def test_requests_add_up_and_the_same_one_is_done_once(made, tmp_path):
    forget(str(made), Request(ids=("d3",)))
    code, told = winnow("forget", str(made), "--ids", ids_file(tmp_path, "d3"))
    assert code == 0 and "forget/001/proof.json" in told, told
    assert not (made / "forget/002").exists()
    forget(str(made), Request(ids=("d9",)))
    assert removed(made) == {"d3", "d40", "d9"}
    assert [d["id"] for d in proof_of(made, "002")["documents"]] == ["d9"]
    holds(made)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--ids", "IDS"], "no document fits the request; ids that no document has: 2"),
        (["--match", "Jane .* Street"], "no document fits"),
        (["--match", " "], "without a letter"),
        (["--url-prefix", "x.org"], "expected the beginning of an address"),
        (["--url-prefix", "https://x.or"], "no document fits"),
        ([], "nothing is asked for"),
        (["--match", "Page"], "fits all"),
        (["--ids", "/nowhere"], "no such file"),
    ],
)
def test_refusals(made, tmp_path, asked, said):
    files = sorted(made.rglob("*"))
    names = ids_file(tmp_path, "D3", "d999")
    code, told = winnow("forget", str(made), *(names if word == "IDS" else word for word in asked))
    assert code == 2 and said in told, told
    assert sorted(made.rglob("*")) == files


@pytest.mark.slow
def test_everything_goes_when_that_is_meant(made):
    code, told = winnow("forget", str(made), "--match", "Page", "--all-documents")
    assert code == 0, told
    finished = load_run(str(made))
    assert set(outcomes(made).values()) == {REMOVED_ON_REQUEST}
    assert [split["rows"] for split in finished.manifest["shards"]["splits"].values()] == [0, 0]
    holds(made)


def test_a_dry_run_writes_nothing(made):
    files = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    code, told = winnow("forget", str(made), "--match", PERSON, "--dry-run")
    assert code == 0 and "match: d3 (web, kept)" in told and "nothing was written" in told, told
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == files


def test_beginnings_of_addresses(base, made):
    for prefix, names in {
        "HTTPS://X.org": {"d5", "d8"},
        "http://other.net/~jane1": {"d1", *(f"d1{n}" for n in range(10))},
    }.items():
        done = forget(str(made), request_of(None, [prefix], []), dry_run=True)
        assert {found.id for found in done.found.documents} == names
    forget(str(made), request_of(None, ["https://x.org/"], []))
    assert removed(made) == {"d5", "d8"}
    assert json.loads((made / "forget/001/list.json").read_text())["url_prefixes"] == ["https://x.org/"]


@pytest.mark.slow
def test_the_old_set_goes_when_asked(made):
    old = load_run(str(made))
    sizes = sum(path.stat().st_size for path in made.rglob("*.parquet"))
    done = forget(str(made), Request(ids=("d3",)), delete_old=True)
    assert not (made / old.shards).exists() and len(list((made / "documents").iterdir())) == 1
    assert any("the old set is deleted" in note for note in done.notes)
    assert proof_of(made)["still_holds"]["old_sets"] == []
    assert sum(path.stat().st_size for path in made.rglob("*.parquet")) <= sizes + 20_000
    holds(made)


@pytest.mark.slow
def test_killed_at_each_step_the_same_command_goes_on(base, tmp_path, monkeypatch):
    """After each write of the command itself; the old set is the current one until the new one is, and whole."""
    from winnow.storage.local_store import LocalStore

    reference = tmp_path / "reference"
    shutil.copytree(base / "run", reference)
    forget(str(reference), Request(ids=("d3",)))
    write_file = LocalStore.replace
    for step in range(40):
        folder, left = tmp_path / f"run{step}", [step]
        shutil.copytree(base / "run", folder)

        def killed(store, path, data, left=left):
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            write_file(store, path, data)

        with monkeypatch.context() as patched:
            patched.setattr(LocalStore, "replace", killed)
            try:
                forget(str(folder), Request(ids=("d3",)))
            except KeyboardInterrupt:
                pass
            else:
                assert step > 6
                break
        assert check_shards(load_run(str(folder))) == []
        forget(str(folder), Request(ids=("d3",)))
        assert shards_of(folder) == shards_of(reference)
        assert proof_of(folder) == proof_of(reference)
        holds(folder)
        shutil.rmtree(folder)
    else:
        pytest.fail("never done")


@pytest.mark.slow
def test_a_run_in_between_does_not_lose_the_proof(base, made, monkeypatch):
    monkeypatch.setattr(forgetting, "_make_set", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        forget(str(made), Request(ids=("d3",)))
    monkeypatch.undo()
    old = load_run(str(made)).shards
    again(base, made)
    assert removed(made) == {"d3", "d40"}
    forget(str(made), Request(ids=("d3",)))
    proof = proof_of(made)
    assert (proof["old_set"]["folder"], proof["new_set"]["folder"]) == (old, load_run(str(made)).shards)


def test_nothing_is_given_away_while_a_request_is_under_way(made, tmp_path, monkeypatch):
    """Between its list and its new set: the set that is there still holds what it removes."""
    monkeypatch.setenv("HF_TOKEN", "x")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(forgetting, "_make_set", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        forget(str(made), Request(ids=("d3",)))
    for command in (("export", "documents", str(made)), ("push", str(made), "hf://datasets/a/b")):
        code, told = winnow(*command)
        assert code == 2 and "the removal request forget/001 is not done" in told, told
    forget(str(made), Request(ids=("d3",)))
    code, told = winnow("export", "documents", str(made))
    assert code == 0, told


def test_words_that_stand_there_are_found(made, monkeypatch):
    """A fault on order: the new set is the old one."""
    monkeypatch.setattr(forgetting, "shards_folder", lambda run: run.shards)
    old = load_run(str(made))
    monkeypatch.setattr(forgetting, "manifest_of", lambda _run: old.store.read(f"{old.shards}/manifest.json"))
    with pytest.raises(BooksError, match="words in a row of a removed document stand there"):
        forget(str(made), Request(ids=("d9",)))
    assert load_run(str(made)).shards == old.shards and removed(made) == set()


@pytest.mark.slow
def test_a_damaged_list_lets_nothing_through(base, made):
    forget(str(made), Request(ids=("d3",)))
    path = made / "forget/001/list.json"
    path.write_text(path.read_text().replace("winnow-removal-list-1", "other"))
    with pytest.raises(ConfigError, match=r"forget/001/list.json: a list of removal requests that is damaged"):
        again(base, made)


@pytest.mark.parametrize(
    ("content", "said"), [(b"a\n\xff\n", "line 2 is not UTF-8"), (b"\xef\xbb\xbf\n \n", "holds no id")]
)
def test_files_of_ids(tmp_path, content, said):
    (tmp_path / "ids").write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        read_ids(str(tmp_path / "ids"))
    with pytest.raises(ConfigError, match="no such file"):
        read_ids(str(tmp_path))


def nights(folder: Path) -> dict:
    """Two nights over one index: the second has page 3 again under another id, page 4's id with other words, a page
    nearly like 3, and two pages of its own."""
    all_rows, rng = rows(), random.Random(23)
    words = all_rows[3]["text"].split(" ")
    words[30] = "it"
    write(folder / "one.jsonl", all_rows[:40])
    write(folder / "two.jsonl", [
        {"id": "copy", "url": "https://a.net/", "text": all_rows[3]["text"]},
        {"id": "d4", "url": "https://a.net/", "text": article(rng, 30)},
        {"id": "near", "url": "https://a.net/", "text": " ".join(words)},
        {"id": "new", "url": "https://x.org/new", "text": article(rng, 30)},
        {"id": "other", "url": "https://a.net/", "text": article(rng, 30)},
    ])  # fmt: skip
    dedup = {"index": str(folder / "index"), "keep": ["first"]}
    return {
        name: settings(folder / f"run-{name}", folder / f"{name}.jsonl", dedup=dedup, documents=None)
        for name in ("one", "two")
    }


def test_later_nights_never_take_it(tmp_path):
    night = nights(tmp_path)
    run(parse_config(night["one"]))
    done = forget(night["one"]["run"], request_of(ids_file(tmp_path, "d3", "d4"), ["https://x.org/"], [], reason="r"))
    assert [note for note in done.notes if "WARNING" in note] == []
    (listed,) = (tmp_path / "index/removed").iterdir()
    assert listed.read_bytes() == (tmp_path / "run-one/forget/001/list.json").read_bytes()
    run(parse_config(night["two"]))
    assert outcomes(tmp_path / "run-two") == {
        "copy": REMOVED_ON_REQUEST, "d4": REMOVED_ON_REQUEST, "near": "near_duplicate",
        "new": REMOVED_ON_REQUEST, "other": KEPT,
    }  # fmt: skip
    finished = load_run(str(tmp_path / "run-two"))
    assert finished.totals("removals", "removed_by") == {"removal.id": 1, "removal.text": 1, "removal.url": 1}
    for name in ("one", "two"):
        holds(tmp_path / f"run-{name}")
        shards = shards_of(tmp_path / f"run-{name}")
        run(parse_config(night[name]))  # the segment is what it was, so that it can be run again
        assert shards_of(tmp_path / f"run-{name}") == shards


@pytest.mark.slow
def test_a_request_to_a_later_night_reaches_earlier_ones_and_names_them(tmp_path):
    night = nights(tmp_path)
    for name in ("one", "two"):
        run(parse_config(night[name]))
    code, told = winnow("forget", str(tmp_path / "run-two"), "--ids", ids_file(tmp_path, "copy"))
    assert code == 0, told
    assert f"WARNING: {tmp_path}/run-one keeps documents that they are duplicates of: give it the request" in told
    from winnow.runs.corpus import is_unchanged

    assert not is_unchanged(parse_config(night["one"])) and is_unchanged(parse_config(night["two"]))
    run(parse_config(night["one"]))
    assert "d3" in removed(tmp_path / "run-one")
    (tmp_path / "index/removed" / next((tmp_path / "index/removed").iterdir()).name).write_text("{")
    with pytest.raises(ConfigError, match="damaged"):
        run(parse_config(night["one"]))


def test_a_corpus_lists_the_new_set_of_a_command_that_was_killed_behind_its_proof(base, tmp_path, monkeypatch):
    folder = tmp_path / "corpus/sets/00000"
    shutil.copytree(base / "run", folder)
    described = corpus._entry("00000", load_run(str(folder)).store, 0)
    content = {"format": CORPUS_FORMAT, "sets": [described], "totals": corpus._totals([described])}
    (tmp_path / "corpus/corpus.json").write_text(json.dumps(content))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(forgetting, "relist", lambda _store: (_ for _ in ()).throw(KeyboardInterrupt))
        forget(str(folder), Request(ids=("d3",)))
    assert proof_of(folder)["new_set"]["folder"] == load_run(str(folder)).shards
    told = forget(str(folder), Request(ids=("d3",)), delete_old=True)
    (listed,) = json.loads((tmp_path / "corpus/corpus.json").read_text())["sets"]
    assert listed["manifest"] == f"sets/00000/{load_run(str(folder)).shards}/manifest.json" != described["manifest"]
    assert any("corpus.json names the new set" in note for note in told.notes)
    again_told = forget(str(folder), Request(ids=("d3",)))
    assert not any("corpus.json" in note for note in again_told.notes)


def test_a_corpus_does_not_ask_for_what_goes_from_another_of_its_sets():
    """Nor does it leave out what stays there."""
    from winnow.finished.forget.corpus import still_elsewhere

    other = tuple({"id": name, "run": f"/then/sets/{folder}"} for name, folder in (("a", "00000"), ("b", "00000")))
    assert still_elsewhere(other, {"/now/sets/00000": {"a"}, "/now/sets/00001": {"b"}}) == other[1:]


@pytest.mark.slow
def test_a_corpus_that_grows_lists_the_new_set(tmp_path):
    values = settings(tmp_path / "corpus", write(tmp_path / "in.jsonl", rows()), documents=None)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(values))
    code, told = winnow("run", str(tmp_path / "c.yaml"), "--new-only")
    assert code == 0, told
    values["sources"][0]["path"] = [str(tmp_path / "in.jsonl"), str(tmp_path / "more.jsonl")]
    rng = random.Random(29)
    more = [{"id": f"m{n}", "url": "", "text": article(rng, 20)} for n in range(9)]
    write(tmp_path / "more.jsonl", [*more, {**rows()[3], "id": "copy"}])  # dropped for d3
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(values))
    code, told = winnow("run", str(tmp_path / "c.yaml"), "--new-only")
    assert code == 0, told
    code, told = winnow("forget", str(tmp_path / "corpus"), "--ids", ids_file(tmp_path, "D3"))
    assert code == 2 and "no document of its 2 shard sets fits" in told, told
    old = json.loads((tmp_path / "corpus/corpus.json").read_text())
    names = ids_file(tmp_path, "d3", "copy", "m4", "gone")
    code, told = winnow("forget", str(tmp_path / "corpus"), "--ids", names)
    assert code == 0 and told.count("corpus.json names the new set") == 2, told
    assert told.count("unknown id: gone") == 2 and "unknown id: m4" not in told
    assert "give it the request, too" not in told
    assert [removed(tmp_path / f"corpus/sets/0000{n}") for n in (0, 1)] == [{"d3", "d40"}, {"m4", "copy"}]
    new = json.loads((tmp_path / "corpus/corpus.json").read_text())
    finished = load_run(str(tmp_path / "corpus/sets/00000"))
    assert new["sets"][0]["manifest"] == f"sets/00000/{finished.shards}/manifest.json"
    assert sum(new["totals"][s]["documents"] for s in new["totals"]) == sum(
        old["totals"][s]["documents"] for s in old["totals"]
    ) - 2  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "shards",
    [
        {"row": "best_fit", "mixture": {"web": 1}, "max_tokens": 4000},
        {"row": "document", "max_tokens": 3000},
        {"row": "window", "mixture": {"web": 1}},
        {"row": "concat", "formats": ["parquet", "mds"]},
        {
            "row": "concat",
            "phases": [
                {"name": "main", "mixture": {"web": 1}},
                {"name": "end", "mixture": {"web": 1}, "max_tokens": 2000},
            ],
        },
        {"row": "document", "phases": [{"name": "a", "max_tokens": 3000}, {"name": "b", "max_tokens": 2000}]},
    ],
    ids=lambda shards: shards["row"] + "-in-phases" * ("phases" in shards),
)
def test_rows_and_mixtures(base, tmp_path, shards):
    run_folder = tmp_path / "run"
    again(base, run_folder, shards=shards, documents=None)
    kept = sorted(name for name, outcome in outcomes(run_folder).items() if outcome == KEPT)
    old = load_run(str(run_folder))
    forget(str(run_folder), Request(ids=tuple(kept[:3])))
    assert removed(run_folder) >= set(kept[:3])
    holds(run_folder)
    for document in proof_of(run_folder)["documents"]:
        story = explain(old, document["doc"])
        assert [list(p.shards) for p in story.places] == [p["shards"] for p in document["places"]]


@pytest.mark.slow
@pytest.mark.ray
def test_two_workers_and_a_kill_give_the_same_bytes(base, tmp_path, local_ray):
    """The whole command on Ray, killed when the new shards are about to be committed."""
    from tests.support.fault_runs import ended

    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        shutil.copytree(base / "run", folder)
    forget(str(one), Request(ids=("d3", "d9"), near=True))
    line = [sys.executable, "-m", "jobs", "forget", str(two), "--ids", ids_file(tmp_path, "d3", "d9")]
    line += ["--near-duplicates", "--executor", "ray"]
    fault = {"point": "commit", "is": {"stage": "shards"}, "do": "kill", "times": 1}
    code, messages = ended([*line[:-1], "inline"], tmp_path / "marks", fault)
    assert code == -9, messages
    assert removed(two) == set()
    code, messages = ended(line, tmp_path / "marks")
    assert code == 0, messages
    assert shards_of(two) == shards_of(one)
    assert text_files_of(two) == text_files_of(one)
    assert proof_of(two)["documents"] == proof_of(one)["documents"]
    holds(two)


@pytest.mark.slow
def test_in_an_object_store(base, made, tmp_path, s3):
    import s3fs

    s3fs.S3FileSystem().makedirs("winnow-forget", exist_ok=True)
    address = f"s3://winnow-forget/{tmp_path.name}/run"
    storage = {"scratch": str(tmp_path / "scratch"), "retries": 2}
    run(parse_config(settings(address, base / "in.jsonl", storage=storage)))
    old = load_run(address).shards
    code, told = winnow("forget", address, "--ids", ids_file(tmp_path, "d3", "d9"), "--delete-old")
    assert code == 0, told
    forget(str(made), Request(ids=("d3", "d9")))
    finished, local = load_run(address), load_run(str(made))
    assert finished.manifest["shards"]["splits"] == local.manifest["shards"]["splits"]
    assert json.loads(finished.store.read("forget/001/proof.json"))["check"] == proof_of(made)["check"]
    assert finished.store.files_below(old) == [] and check_shards(finished) == []
