"""Rows for BERT and instruction data through whole runs: against transformers, and against plain definitions."""

import json
import random
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.support.configs import run_config, sample_config, source_of
from tests.support.corpora import articles, write_sample
from winnow.audit.verify.verify import check_shards, recount
from winnow.config.config import parse_config
from winnow.errors import ConfigError
from winnow.runs.run import load_run_vocabulary, run
from winnow.runs.state import load_run
from winnow.sources.structured.chat import CHATML, CHATML_TOKENS
from winnow.stages.shards.postprocess import row_extras
from winnow.stages.tables import read_ipc
from winnow.tokens.structured import longest_first

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "vocab"
CASED = SHARED / "bert-base-cased-vocab.txt"
needs_shared = pytest.mark.skipif(not CASED.is_file(), reason=f"{CASED} is not here")
ROW = 64


def bert_tokenizer():
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    reference = transformers.BertTokenizer(vocab=str(CASED), do_lower_case=False)
    reference._tokenizer.encode_special_tokens = True
    return reference


def config_of(folder: Path, fields: dict, **sections) -> dict:
    shards = {"sequence_tokens": ROW, "splits": {"val": 0.1}, "columns": ["docs"], **sections.pop("shards", {})}
    compute = {"max_unreadable_share": 0.5} | sections.pop("compute", {})
    data = source_of(folder / "data.jsonl", "data", **fields)
    return run_config(folder / "run", data, shards=shards, compute=compute, **sections)


def finish(config: dict):
    run(parse_config(config))
    finished = load_run(config["run"])
    assert check_shards(finished) == []
    assert all(balance.expected == balance.found for balance in recount(finished))
    return finished


def rows_of(finished) -> list[dict]:
    rows = []
    for split in finished.manifest["shards"]["splits"].values():
        for shard in split["shards"]:
            rows += pq.read_table(finished.store.path(f"{finished.shards}/{shard['path']}")).to_pylist()
    return rows


def documents_of(finished) -> dict[int, dict]:
    tables = [pq.read_table(finished.store.path(part.documents["path"])) for part in finished.parts]
    return {row["doc"]: row for table in tables for row in table.to_pylist()}


def shard_hashes(finished) -> list[str]:
    return [s["sha256"] for split in finished.manifest["shards"]["splits"].values() for s in split["shards"]]


def write_lines(folder: Path, records: list) -> None:
    (folder / "data.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def write_pairs(folder: Path) -> None:
    rng, records = random.Random(1), []
    for text in articles(1, 60):
        words = text.split(" ")
        first, second = rng.randint(1, 60), rng.randint(0, 60)
        records.append({"text": " ".join(words[:first]), "next": " ".join(words[60 : 60 + second])})
    write_lines(folder, [*records, {"text": "alone"}, {"text": "x", "next": 3}])


def conversations(count: int, seed: int = 3) -> list[list[dict]]:
    rng, talks = random.Random(seed), []
    for text in articles(seed, count):
        words = text.split(" ")
        turns = [{"role": "system", "content": " ".join(words[:5])}] if rng.random() < 0.3 else []
        for turn in range(rng.randint(1, 4)):
            turns.append({"role": "user", "content": " ".join(words[turn * 9 : turn * 9 + rng.randint(1, 9)])})
            hostile = rng.choice(["", "", "<|im_end|>\n<|im_start|>system\n", "\U0001f642 ", "<|endoftext|>"])
            turns.append({"role": "assistant", "content": hostile + " ".join(words[turn * 20 : turn * 20 + 30])})
        talks.append(turns if rng.random() < 0.8 else turns[:-1])
    return talks


@needs_shared
@pytest.mark.parametrize("pair", [None, "next"])
def test_bert_rows_are_those_of_bert_tokenizer(tmp_path, pair):
    reference = bert_tokenizer()
    write_pairs(tmp_path)
    source = {"pair": pair} if pair else {}
    config = config_of(tmp_path, source, tokenise={"encoding": str(CASED)}, shards={"row": "document"})
    finished = finish(config)
    documents, rows = documents_of(finished), rows_of(finished)
    assert len(rows) == finished.manifest["books"]["outcomes"]["kept"] > 60
    cut = 0
    for row in rows:
        document = documents[row["docs"][0]]
        texts = json.loads(document["keep.#structure"]) if pair else [document["text"]]
        expected = reference(*texts, padding="max_length", truncation=True, max_length=ROW)
        assert {name: row[name] for name in expected} == dict(expected)
        cut += len(reference(*texts)["input_ids"]) > ROW
    assert cut > 5
    assert any(sum(row["token_type_ids"]) for row in rows) == bool(pair)
    assert finished.manifest["shards"]["dtype"] == "uint16"
    assert set(finished.manifest["shards"]["columns"]) == {"docs", "attention_mask", "token_type_ids"}
    assert finished.manifest["books"]["outcomes"]["unreadable"] == (2 if pair else 0)


@needs_shared
def test_pairs_are_cut_as_tokenizers_cuts_them():
    reference = bert_tokenizer()
    for first in (1, 2, 7, 20, 21, 40):
        for second in (1, 2, 8, 20, 22, 41):
            for length in (12, 13, 24, 45):
                texts = "the " * first, "the " * second
                ids = reference(*texts, truncation=True, max_length=length)
                kept = longest_first(first, second, length - 3)
                types = np.array(ids["token_type_ids"])
                assert kept == ((types == 0).sum() - 2, (types == 1).sum() - 1)


@needs_shared
def test_packed_wordpiece_rows_are_padded_with_pad(tmp_path):
    write_pairs(tmp_path)
    config = config_of(tmp_path, {}, tokenise={"encoding": str(CASED)}, shards={"row": "best_fit"})
    for row in rows_of(finish(config)):
        used = sum(row["doc_lens"])
        assert row["input_ids"][used:] == [0] * (ROW + 1 - used)
        ends = np.cumsum(row["doc_lens"]) - 1
        whole = [n for n, start in zip(row["doc_lens"], row["doc_starts"], strict=True) if start == 0]
        assert row["input_ids"][:used].count(101) == len(whole)
        assert row["input_ids"][ends[-1]] == 102 or row["doc_lens"][-1] == ROW + 1


def trained_text(vocabulary, ids: list[int], mask: list[int]) -> list[bytes]:
    """What each run of masked tokens says."""
    runs, last = [], 0
    for token, bit in zip(ids, mask, strict=True):
        if bit and not last:
            runs.append([])
        if bit:
            runs[-1].append(token)
        last = bit
    return [vocabulary.decode(tokens) for tokens in runs]


@pytest.mark.parametrize("row", ["concat", "best_fit", "document", "window"])
def test_the_mask_covers_what_the_assistant_wrote_and_nothing_else(tmp_path, row):
    write_lines(tmp_path, [{"talk": talk} for talk in conversations(60)])
    config = config_of(tmp_path, {"messages": "talk"}, shards={"row": row, "sequence_tokens": 400})
    finished = finish(config)
    vocabulary = load_run_vocabulary(finished.config)
    start, end = (vocabulary.special_tokens[name] for name in CHATML_TOKENS)
    assert (start, end, vocabulary.size) == (200019, 200020, 200021)
    documents, whole = documents_of(finished), 0
    for packed in rows_of(finished):
        at = 0
        for length, doc, first in zip(packed["doc_lens"], packed["docs"], packed["doc_starts"], strict=True):
            ids, mask = (packed[name][at : at + length] for name in ("input_ids", "loss_mask"))
            at += length
            if first or ids[-1] != vocabulary.end_of_text:
                continue  # a part of a conversation
            whole += 1
            talk = json.loads(documents[doc]["keep.#structure"])
            said = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in talk)
            assert vocabulary.decode(ids[:-1]) == said.encode()
            answers = [f"{m['content']}<|im_end|>".encode() for m in talk if m["role"] == "assistant"]
            assert trained_text(vocabulary, ids[:-1], mask[:-1]) == answers
            assert mask[-1] == (talk[-1]["role"] == "assistant")
            assert (ids.count(start), ids.count(end)) == (len(talk), len(talk))
            assert ids.count(vocabulary.end_of_text) == 1
        assert not any(packed["loss_mask"][at:])
    assert whole > 40


@needs_shared
@pytest.mark.parametrize("encoding", ["gpt2-tokenizer.json", "gpt2.tiktoken", "llama-tokenizer.json"])
def test_ids_and_mask_are_those_of_apply_chat_template(tmp_path, encoding):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    file = SHARED / encoding.replace("gpt2.tiktoken", "gpt2-tokenizer.json")
    reference = transformers.PreTrainedTokenizerFast(tokenizer_file=str(file))
    reference.add_special_tokens({"additional_special_tokens": list(CHATML_TOKENS)})
    talks = conversations(40)
    harmless = [t for t in talks if not any("<|" in message["content"] for message in t)]
    write_lines(tmp_path, [{"talk": talk} for talk in harmless])
    tokenise = {"encoding": str(SHARED / encoding)}
    config = config_of(tmp_path, {"messages": "talk"}, tokenise=tokenise, dedup="off", shards={"row": "document"})
    config["shards"]["sequence_tokens"] = 1000
    finished = finish(config)
    documents, rows = documents_of(finished), rows_of(finished)
    assert len(rows) == len(harmless) > 10
    for row in rows:
        talk = json.loads(documents[row["docs"][0]]["keep.#structure"])
        expected = reference.apply_chat_template(
            talk, chat_template=CHATML, return_dict=True, return_assistant_tokens_mask=True
        )
        length = row["doc_lens"][0] - 1
        assert row["input_ids"][:length] == expected["input_ids"]
        assert row["loss_mask"][:length] == expected["assistant_masks"]


def test_a_template_from_a_file_with_its_own_end_of_text(tmp_path):
    template = (
        "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ eos_token }}"
        "{% endgeneration %}{% else %}Question: {{ m.content }}\nAnswer: {% endif %}{% endfor %}"
    )
    (tmp_path / "chat.jinja").write_text(template)
    write_lines(tmp_path, [{"q": f"What is {n}?", "a": f"A number, {n}."} for n in range(30)])
    source = {"prompt": "q", "response": "a", "chat_template": str(tmp_path / "chat.jinja")}
    finished = finish(config_of(tmp_path, source, dedup="off", shards={"row": "document"}))
    vocabulary = load_run_vocabulary(finished.config)
    assert vocabulary.size == 200019  # nothing was added
    rows = rows_of(finished)
    assert len(rows) == 30
    for row in rows:
        length = row["doc_lens"][0]
        ids, mask = row["input_ids"][:length], row["loss_mask"][:length]
        number = vocabulary.decode(ids).decode().split("?")[0].removeprefix("Question: What is ")
        # the space before the answer is in one token with its first word, which counts as the assistant's
        assert trained_text(vocabulary, ids, mask) == [f" A number, {number}.<|endoftext|>".encode()]
        assert ids.count(vocabulary.end_of_text) == 1


def test_contents_are_normalised_one_by_one_and_plain_sources_are_trained_on_whole(tmp_path):
    talk = [{"role": "user", "content": "\u201cHi\u201d\r\n"}, {"role": "assistant", "content": "caf\u00c3\u00a9"}]
    write_lines(tmp_path, [{"talk": talk}])
    (tmp_path / "plain.txt").write_text("A plain text of its own.")
    config = config_of(tmp_path, {"messages": "talk"}, shards={"row": "document", "splits": {}})
    config["sources"].append({"name": "plain", "path": str(tmp_path / "plain.txt")})
    finished = finish(config)
    chat, plain = sorted(documents_of(finished).values(), key=lambda d: d["source"])
    contents = [message["content"] for message in json.loads(chat["keep.#structure"])]
    assert contents[1] == "caf\u00e9"
    assert chat["text"] == "\n\n".join(contents)
    by_doc = {row["docs"][0]: row for row in rows_of(finished)}
    row = by_doc[plain["doc"]]
    assert row["loss_mask"] == [1] * row["doc_lens"][0] + [0] * (ROW - row["doc_lens"][0])


@pytest.mark.parametrize("row", ["concat", "best_fit"])
def test_units_and_partitions_do_not_change_a_byte(tmp_path, row, monkeypatch):
    write_lines(tmp_path, [{"talk": talk, "more": "x" * 900} for talk in conversations(900)])
    assert (tmp_path / "data.jsonl").stat().st_size > 1_100_000
    config = config_of(tmp_path, {"messages": "talk"}, shards={"row": row, "shard_tokens": 40_000})
    expected = shard_hashes(finish(config))
    monkeypatch.setattr("winnow.engine.exchange.partitions_for", lambda *_: 13)
    monkeypatch.setattr("winnow.stages.shards.row_groups.UNIT_DOCUMENTS", 45)
    other = finish({**config, "run": str(tmp_path / "other"), "compute": {**config["compute"], "unit_mb": 1}})
    assert shard_hashes(other) == expected
    assert len(other.of("tokenise")) > 1


def test_wrong_records_are_counted_and_the_run_ends(tmp_path):
    good = [{"talk": talk} for talk in conversations(8)]
    write_lines(tmp_path, [*good, {"talk": []}, {"talk": [{"role": "x", "content": "y"}]}, {"no": 1}])
    finished = finish(config_of(tmp_path, {"messages": "talk"}))
    assert finished.manifest["books"]["outcomes"]["unreadable"] == 3


def test_a_conversation_that_only_its_normalised_form_is_refused_for_has_no_ids(tmp_path):
    template = "{% for m in messages %}{% if not m.content %}{{ raise_exception('empty') }}{% endif %}" + (
        "{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"
    )
    talks = [[{"role": "assistant", "content": content} for content in pair] for pair in (("a", "\u0000"), ("b", "c"))]
    write_lines(tmp_path, [{"talk": talk} for talk in talks])
    source = {"messages": "talk", "chat_template": template}
    finished = finish(
        config_of(tmp_path, source, shards={"row": "document", "splits": {}}, filter={"mode": "annotate"})
    )
    assert sum(record.counters.get("refused_conversations", 0) for record in finished.of("tokenise")) == 1
    assert sorted(sum(row["loss_mask"]) for row in rows_of(finished)) == [0, 2]


@pytest.mark.parametrize(
    ("source", "sections", "message"),
    [
        ({"pair": "b"}, {}, "set shards.row to document"),
        (
            {"messages": "m"},
            {"shards": {"formats": ["litdata"], "columns": []}},
            "needs the column loss_mask, which litdata",
        ),
        ({"messages": "m"}, {"dedup": {"lines": {}}}, "would remove lines from the structured source"),
        ({"messages": "m", "chat_template": "{{ messages }}"}, {}, "between {% generation %}"),
        ({"messages": "m", "chat_template": "no/such/file"}, {}, "No such file"),
    ],
)
def test_settings_that_cannot_be(tmp_path, source, sections, message):
    with pytest.raises(ConfigError, match=message):
        parse_config(config_of(tmp_path, source, **sections))


def test_pairs_and_conversations_do_not_share_a_run(tmp_path):
    config = config_of(tmp_path, {"pair": "b"}, shards={"row": "document"})
    config["sources"].append({"name": "more", "path": "x.jsonl", "messages": "m"})
    with pytest.raises(ConfigError, match="cannot share a run"):
        parse_config(config)


def test_plain_runs_have_nothing_of_this(tmp_path):
    write_sample(tmp_path / "data", 12)
    context = run(parse_config(sample_config(tmp_path / "data", tmp_path / "run")))
    tokens = read_ipc(context.engine.store, context.run.of("tokenise")[0].outputs["tokens"].reference())
    assert tokens.column_names == ["doc", "ids"]
    extras = row_extras(load_run_vocabulary(context.config), "document", context.config.marks)
    assert not any(extras[name] for name in ("marks", "padding", "keeps_last_token", "token_type_ids"))
    assert context.config.structured is None
    assert context.config.tokeniser == context.config.tokenise


def test_the_reader_learns_nothing_but_the_assistants_tokens(tmp_path):
    pytest.importorskip("torch", reason="torch is not installed")
    from winnow.shards.dataset.torch_datasets import ShardDataset

    write_lines(tmp_path, [{"talk": talk} for talk in conversations(40)])
    shards = {"row": "best_fit", "splits": {}, "formats": ["parquet", "raw"]}
    finished = finish(config_of(tmp_path, {"messages": "talk"}, shards=shards))
    rows = rows_of(finished)
    folder = str(finished.store.path(finished.shards))
    expected = [
        [token for token, bit in zip(row["input_ids"][1:], row["loss_mask"][1:], strict=True) if bit] for row in rows
    ]
    for file_format in ("parquet", "raw"):
        learned = []
        for batch in ShardDataset(folder, "train", batch_size=1, as_dict=True, file_format=file_format, verify=True):
            learned.append([token for token in batch["labels"][0].tolist() if token >= 0])
        assert sorted(learned) == sorted(expected)
