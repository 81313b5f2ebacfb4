"""Operators that find spans: what leaves, what is left out, what is computed again, and what is refused."""

import json
import random
import re
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.operators.runs import OFF, computed, config, done, shards, write_input
from tests.support.commands import winnow
from tests.support.small_work import many_units
from winnow import schemas
from winnow.audit.verify.verify import recount
from winnow.errors import ConfigError
from winnow.finished.explain import explain, find
from winnow.finished.tables import table_of, tables_of
from winnow.flow.flow import balances
from winnow.flow.records import RunRecords
from winnow.runs.documents import export_documents
from winnow.tokens.config import TokeniserConfig
from winnow.tokens.vocabulary import load_vocabulary

PII = {"use": "pii"}
PLANTED = " write to {n}.doe@mail.example.com or from 9.8.{n}.6, tel +49 30 12345{n:02d}."


def make(folder: Path, number: int = 40) -> list[str]:
    """Texts of which every third holds an address of each kind, one nothing else, one many."""
    draw = random.Random(5)
    words = [f"{a}{b}" for a in ("ka", "lo", "mi", "nu", "re") for b in ("da", "fe", "gi", "po", "su", "tar", "ven")]
    texts = [f"Text {n} " + " ".join(draw.choices(words, k=40)) for n in range(number)]
    texts = [text + (PLANTED.format(n=n) if n % 3 == 0 else "") for n, text in enumerate(texts)]
    texts += ["only@mail.example.com", " ".join(f"p{n}@mail.example.com" for n in range(9))]
    write_input(folder, texts)
    return texts


def written(finished: RunRecords) -> dict[str, str]:
    """Texts of the clean text by id."""
    files = sorted(Path(finished.store.root).glob("documents/*/*.parquet"))
    latest = {file.parent.stat().st_mtime_ns: file.parent for file in files}
    rows = [row for file in files if file.parent == latest[max(latest)] for row in pq.read_table(file).to_pylist()]
    return {row["id"]: row["text"] for row in rows}


def decoded(finished: RunRecords) -> list[str]:
    """What the ids of each document say, in document order."""
    vocabulary = load_vocabulary(TokeniserConfig())
    spelled = {number: piece for piece, number in vocabulary.ranks.items()}
    texts = []
    for record in finished.of("tokenise"):
        table = pa.ipc.open_file(pa.memory_map(str(finished.store.path(record.outputs["tokens"].path)))).read_all()
        texts += [b"".join(spelled[token] for token in row["ids"]).decode() for row in table.to_pylist()]
    return texts


def outcomes(finished: RunRecords) -> dict[str, tuple]:
    names, found = {}, {}
    for part in finished.parts:
        names |= {
            row["doc"]: row["id"] for row in pq.read_table(finished.store.path(part.documents["path"])).to_pylist()
        }
    for record in finished.ledger:
        for row in pq.read_table(finished.store.path(record.outputs["decisions"].path)).to_pylist():
            found[names[row["doc"]]] = (row["outcome"], row["rule"], row["value"], row["threshold"])
    return found


def expected(texts: list[str]) -> dict[str, str]:
    def clean(text: str) -> str:
        text = re.sub(r"[\w.]+@mail\.example\.com", "<EMAIL>", text)
        return re.sub(r"9\.8\.\d+\.6", "<IP_ADDRESS>", text)

    return {f"web{n}": clean(text) for n, text in enumerate(texts)}


DOCUMENTS = {"documents": {"formats": ["parquet"], "columns": ["id", "text", "pii.email", "pii.spans", "tokens"]}}


def test_what_leaves_has_tokens_in_place_of_spans_everywhere(tmp_path):
    texts = make(tmp_path)
    context, finished = done(config(tmp_path, [PII], **DOCUMENTS))
    want = expected(texts)
    assert written(finished) == want
    assert decoded(finished) == [want[f"web{n}"] for n in range(len(texts))]
    assert "<EMAIL>" in want["web0"] and "@" not in "".join(want.values())
    (doc,) = find(finished, "web0")
    story = explain(finished, doc)
    assert story.text == want["web0"] and ("pii.email", 1.0) in story.signals and ("pii.spans", 2.0) in story.signals
    edits = table_of(finished, "edits").to_table().to_pylist()
    assert {"redact_signals", "redact_failures", "edits"} <= set(tables_of(finished))
    stored = {row["doc"]: row["text"] for row in table_of(finished, "documents").to_table().to_pylist()}
    said = {stored[e["doc"]].encode()[e["start"] : e["end"]].decode() for e in edits}
    assert "0.doe@mail.example.com" in said and "9.8.0.6" in said and len(said) == len(edits)
    found = finished.manifest["redact"]
    assert found["spans"]["pii.email"] == sum(text.count("<EMAIL>") for text in want.values()) > 15
    assert found["edits"] == len(edits)
    assert all(each.expected == each.found for each in (*recount(finished), *balances(finished)))
    run = str(tmp_path / "run")
    summary, why = (winnow(*said)[1] for said in (("summary", run), ("why", "web0", run)))
    assert f"email {found['spans']['pii.email']:,} (in 16 documents)" in summary
    assert "pii.email: 1" in why and "mail.example" not in why + summary


@pytest.mark.slow
def test_a_kind_that_is_switched_on_measures_nothing_again(tmp_path):
    texts = make(tmp_path)
    done(config(tmp_path, [PII]))
    again, finished = done(config(tmp_path, [{**PII, "phone": True}]))
    assert computed(again) == {"redact_spans", "redact", "tokenise", "shuffle", "layout", "shards"}
    assert sum("<PHONE_NUMBER>" in text for text in decoded(finished)) == sum("tel +49" in text for text in texts)
    third, _ = done(config(tmp_path, [{**PII, "iban": True, "phone": True}]))  # finds nothing: no text is touched
    assert computed(third) == {"redact_spans", "redact"}
    back, finished = done(config(tmp_path, [PII]))
    assert computed(back) == set()


@pytest.mark.slow
def test_annotating_changes_nothing_that_leaves(tmp_path):
    make(tmp_path)
    _, plain = done(config(tmp_path, [], name="plain"))
    _, noted = done(config(tmp_path, [{**PII, "action": "annotate"}], name="noted"))
    assert shards(plain) == shards(noted)
    assert noted.manifest["redact"]["spans"]["pii.email"] > 15 and noted.manifest["redact"]["edits"] == 0


@pytest.mark.parametrize("mode", ["filter", "annotate"])
def test_documents_with_too_many_spans_are_left_out_by_rule(tmp_path, mode):
    texts = make(tmp_path)
    rules = [{"signal": "pii.ipv4", "max": 0, "name": "addresses"}]
    path = config(tmp_path, [{**PII, "max_spans": 5}], rules, filter={"mode": mode})
    context, finished = done(path)
    found = outcomes(finished)
    assert found[f"web{len(texts) - 1}"] == (schemas.FILTERED, "pii", 9.0, 5.0)
    assert found["web0"] == (
        (schemas.FILTERED, "addresses", 1.0, 0.0) if mode == "filter" else (schemas.KEPT, None, None, None)
    )
    assert all(each.expected == each.found for each in (*balances(finished), *recount(finished)))
    (doc,) = find(finished, f"web{len(texts) - 1}")
    assert [(f.rule, f.value, f.threshold) for f in explain(finished, doc).failed_rules] == [("pii", 9.0, 5.0)]
    for rule, shown in (("pii", len(texts) - 1), *([("addresses", 0)] if mode == "filter" else [])):
        code, said = winnow("dropped", str(tmp_path / "run"), "--rule", rule)
        assert code == 0 and f"web{shown}  " in said
    assert winnow("tune", str(tmp_path / "run"))[0] == 0
    dropped, finished = done(config(tmp_path, [{**PII, "action": "drop"}], filter={"mode": mode}))
    found = outcomes(finished)
    assert {name for name, each in found.items() if each[0] == schemas.KEPT} == {
        f"web{n}" for n, text in enumerate(texts) if "@" not in text
    }
    assert computed(dropped) >= {"redact"}


def test_a_text_that_goes_whole_is_left_out_and_a_special_token_is_text(tmp_path):
    texts = make(tmp_path)
    cut = {**PII, "replacements": {"email": "", "ipv4": "<|endoftext|>"}}
    _, finished = done(config(tmp_path, [cut], **DOCUMENTS))
    assert outcomes(finished)[f"web{len(texts) - 2}"] == (schemas.FILTERED, "nothing_left", 0.0, 1.0)
    assert outcomes(finished)[f"web{len(texts) - 1}"][:2] == (schemas.FILTERED, "nothing_left")  # blanks between nine
    texts_out = written(finished)
    assert "from <|endoftext|>, tel" in texts_out["web0"] and "@" not in texts_out["web0"]
    ends = load_vocabulary(TokeniserConfig()).end_of_text
    assert all(ends not in row["ids"] for row in table_of(finished, "tokens").to_table().to_pylist())


@pytest.mark.slow
def test_bytes_do_not_depend_on_units(tmp_path, monkeypatch):
    """One file in many slices, parts and batches gives what it gives whole."""
    make(tmp_path, 99)
    operators = [{**PII, "phone": True, "max_spans": 7}]
    _, one = done(config(tmp_path, operators, name="one", **DOCUMENTS))
    many_units(monkeypatch)
    _, many = done(config(tmp_path, operators, name="many", **DOCUMENTS))
    assert len(many.of("redact_spans")) > 1 == len(one.of("redact_spans"))
    assert shards(one) == shards(many)
    assert written(one) == written(many)


CHAT = [
    {"role": "system", "content": "Ask admin@mail.example.com."},
    {"role": "user", "content": "I am jo@mail.example.com, who are you?"},
    {"role": "assistant", "content": "日本: bot@mail.example.com, at 9.8.7.6."},
]


@pytest.mark.slow
def test_conversations_and_pairs_keep_their_structure_and_masks(tmp_path):
    chats = [
        {
            "id": f"c{n}",
            "messages": [*CHAT, {"role": "user", "content": f"So {n}?"}, {"role": "assistant", "content": "Yes."}],
        }
        for n in range(5)
    ]
    pairs = [
        {"id": f"p{n}", "a": f"first a{n}@mail.example.com", "b": f"and b{n}@mail.example.com is {n}"} for n in range(5)
    ]
    (tmp_path / "chat.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chats))
    (tmp_path / "plain.jsonl").write_text(
        "".join(
            json.dumps({"id": f"t{n}", "text": f"Text {n} of t{n}@mail.example.com and more words."}) + "\n"
            for n in range(5)
        )
    )
    clean = json.loads(json.dumps(chats).replace("@mail.example.com", "@").replace("9.8.7.6", "<IP_ADDRESS>"))
    text = (tmp_path / "chat.jsonl").read_text()
    text = re.sub(r"\w+@mail\.example\.com", "<EMAIL>", text).replace("9.8.7.6", "<IP_ADDRESS>")
    (tmp_path / "clean-chat.jsonl").write_text(text)
    plain = re.sub(r"\w+@mail\.example\.com", "<EMAIL>", (tmp_path / "plain.jsonl").read_text())
    (tmp_path / "clean-plain.jsonl").write_text(plain)
    assert clean and pairs

    def settings(name: str, prefix: str, operators: list) -> Path:
        values = {
            "run": str(tmp_path / name),
            "sources": [
                {
                    "name": "chat",
                    "path": str(tmp_path / f"{prefix}chat.jsonl"),
                    "id": "id",
                    "messages": "messages",
                },
                {"name": "plain", "path": str(tmp_path / f"{prefix}plain.jsonl"), "id": "id"},
            ],
            "measure": {"operators": operators},
            "filter": OFF,
            "dedup": "off",
            "tokenise": {"encoding": "cl100k_base"},
            "shards": {"sequence_tokens": 127},
            "documents": {"formats": ["parquet"], "columns": ["id", "text"]},
            "report": False,
            "compute": {"executor": "inline", "attempts": 1},
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(values))
        return path

    _, edited = done(settings("edited", "", [PII]))
    _, wanted = done(settings("wanted", "clean-", []))
    assert written(edited) == written(wanted)
    assert "<EMAIL>" in written(edited)["c0"]

    def tokens(finished: RunRecords) -> dict[int, dict]:
        return {row["doc"]: row for row in table_of(finished, "tokens").to_table().to_pylist()}

    assert tokens(edited) == tokens(wanted)  # ids with marks, and the marks of ends
    assert shards(edited) == shards(wanted)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"emial": True}, "did you mean 'email'"),
        ({"email": "yes please"}, "neither on nor off"),
        ({"action": "blur"}, "action"),
        ({"max_spans": -1}, "max_spans"),
        ({"replacements": {"card": "x"}}, "no kind 'card' is found"),
        ({"replacements": {"email": 3}}, "replacements.email"),
        ({"action": "annotate", "replacements": {"email": "x"}}, "are for action: replace"),
        ({"secret": False, "email": False, "ipv4": False, "ipv6": False}, "finds no kind"),
        ({"finds_spans": False, "use": "piii"}, "did you mean 'pii'"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, entry, message):
    make(tmp_path)
    with pytest.raises(ConfigError, match=message):
        done(config(tmp_path, [{**PII, **entry}]))


def test_rules_on_kinds_that_are_off_are_refused(tmp_path):
    make(tmp_path)
    with pytest.raises(ConfigError, match=r"no signal is named 'pii\.card'"):
        done(config(tmp_path, [PII], [{"signal": "pii.card", "max": 1}]))


OWN = """
import winnow

@winnow.spans(needs=["text"], columns=["word"])
def numbers(batch, *, word="Text"):
    found = []
    for text in batch["text"].to_pylist():
        data, spans, at = text.encode(), [], -1
        while (at := data.find(word.encode(), at + 1)) >= 0:
            spans.append((at, at + len(word.encode()), "word"))
        found.append(spans)
    return found

@winnow.spans(needs=["text"], columns=["word"])
def outside(batch):
    return [[(0, len(text.encode()) + 1, "word")] for text in batch["text"].to_pylist()]

@winnow.spans(needs=["text"], columns=["word"])
def within(batch):
    return [[(0, 1, "word")] if text.startswith("é") else [] for text in batch["text"].to_pylist()]

@winnow.spans(needs=["text"], columns=["word"])
def unknown(batch):
    return [[(0, 1, "other")]] * batch.num_rows

@winnow.spans(needs=["text"], columns=["word"])
def raises(batch):
    if any(text.startswith("Text 2 ") for text in batch["text"].to_pylist()):
        raise ValueError("its text must not be told")
    return [[]] * batch.num_rows
"""


def test_own_operators_find_spans_beside_the_built_in_one(tmp_path):
    texts = make(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    own = {"use": "own.py:numbers", "word": "mail", "replacements": {"word": "[{}]"}}
    _, finished = done(config(tmp_path, [own, PII], documents={"formats": ["parquet"], "columns": ["id", "text"]}))
    want = {name: text.replace("mail", "[{}]") for name, text in expected(texts).items()}
    assert written(finished) == want  # an address begins before the word in it
    assert finished.manifest["redact"]["spans"]["numbers.word"] == sum(text.count("mail") for text in texts)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("outside", "expected places between characters"),
        ("within", "between characters"),
        ("unknown", "the kind 'other'"),
    ],
)
def test_spans_that_are_none_end_the_run_with_the_operators_name(tmp_path, name, message):
    make(tmp_path)
    write_input(tmp_path, ["é and more", "plain text"])
    (tmp_path / "own.py").write_text(OWN)
    from winnow.engine.engine import StageFailedError

    with pytest.raises(StageFailedError, match=message):
        done(config(tmp_path, [{"use": f"own.py:{name}"}]))


def test_a_document_that_one_raises_on_is_unreadable_and_the_others_go_on(tmp_path):
    make(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    _, finished = done(config(tmp_path, [{"use": "own.py:raises"}, PII], compute={"max_unreadable_share": 0.2}))
    assert finished.total("measure", "unreadable_reason/operator raises") == 1
    assert "web2" not in outcomes(finished)
    assert all(each.expected == each.found for each in balances(finished))


def test_clean_text_of_a_finished_run_is_edited_too(tmp_path):
    texts = make(tmp_path)
    _, finished = done(config(tmp_path, [PII]))
    export_documents(str(tmp_path / "run"), {"formats": ["parquet"], "columns": ["id", "text"]}, "inline")
    assert written(finished) == expected(texts)
    assert orjson.loads((tmp_path / "run" / "state.json").read_bytes())["config"]["measure"]["operators"][0][
        "finds_spans"
    ]


def test_spans_in_what_is_no_string_stay_and_are_told(tmp_path):
    call = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"function": {"arguments": {"to": "x@mail.example.com"}}}],
    }
    rows = [{"id": "c", "messages": [*CHAT[:2], call, {"role": "user", "content": "So?"}, CHAT[2]]}]
    (tmp_path / "web.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = [{"name": "web", "path": str(tmp_path / "web.jsonl"), "id": "id", "messages": "messages"}]
    _, finished = done(config(tmp_path, [PII], sources=source, tokenise={"encoding": "cl100k_base"}))
    assert finished.total("redact_spans", "spans_left") == 1
    assert "WARNING: 1 spans stand in parts of messages" in winnow("summary", str(tmp_path / "run"))[1]
