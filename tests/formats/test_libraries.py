"""What a run wrote, read by the libraries it was written for: tokens, rows and document borders as in Parquet.

Each library has an environment of its own (``make test-formats``); where one is missing, its tests are skipped.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tokenizers

from tests.formats.peers import read_with
from tests.support.configs import sample_config
from tests.support.corpora import articles, write_sample
from winnow.audit.verify.verify import check_shards
from winnow.config.config import parse_config
from winnow.flow.records import RunRecords
from winnow.runs.run import load_run_vocabulary, run
from winnow.runs.state import load_run
from winnow.stages.shards.shard_set import described_formats

pytestmark = [pytest.mark.slow, pytest.mark.formats]
ROW = 128


def small_vocabulary(path: Path) -> Path:
    """A tokenizer.json of 600 ids, so that ids take two bytes."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(articles(5, 20), trainer)
    tokenizer.save(str(path))
    return path


@dataclass(frozen=True)
class ShardSet:
    """A finished run, and what its Parquet shards hold."""

    finished: RunRecords
    end_of_text: int
    vocabulary_size: int

    @property
    def folder(self) -> Path:
        return self.finished.store.path(self.finished.shards)

    def shards(self, split: str, column: str = "input_ids") -> list[tuple[np.ndarray, list[list[int]]]]:
        """Rows ids[R, L] and the lengths of each row's pieces, shard by shard."""
        found = []
        for shard in self.finished.manifest["shards"]["splits"][split]["shards"]:
            table = pq.read_table(self.folder / shard["path"])
            ids = table.column(column).combine_chunks()
            found.append((ids.flatten().to_numpy().reshape(-1, ROW), table.column("doc_lens").to_pylist()))
        return found

    def rows(self, split: str, column: str = "input_ids") -> np.ndarray:
        return np.concatenate([rows for rows, _ in self.shards(split, column)])

    def documents(self, split: str) -> list[list[np.ndarray]]:
        """Documents of each shard, joined over its rows; a shard's first may lack its head, its last its end."""
        found = []
        for rows, lengths in self.shards(split):
            stream = np.concatenate([row[: sum(lens)] for row, lens in zip(rows, lengths, strict=True)])
            pieces = np.split(stream, np.flatnonzero(stream == self.end_of_text) + 1)
            found.append([piece for piece in pieces if len(piece)])
        return found

    def stem(self, split: str, number: int) -> Path:
        path = described_formats(self.finished.manifest["shards"])["raw"][split]["shards"][number]["path"]
        return (self.folder / path).with_suffix("")


def make_set(folder: Path, vocabulary: str, **shards) -> ShardSet:
    write_sample(folder / "data", 60)
    sections = {
        "tokenise": {"encoding": vocabulary},
        "shards": {"sequence_tokens": ROW - 1, "shard_tokens": 6000, "splits": {"val": 0.1}, **shards},
    }
    run(parse_config(sample_config(folder / "data", folder / "run", **sections)))
    finished = load_run(str(folder / "run"))
    loaded = load_run_vocabulary(finished.config)
    return ShardSet(finished, loaded.end_of_text, loaded.size)


@pytest.fixture(scope="module", params=["uint16", "uint32"])
def made_set(request, tmp_path_factory) -> ShardSet:
    folder = tmp_path_factory.mktemp(request.param)
    vocabulary = "o200k_base" if request.param == "uint32" else str(small_vocabulary(folder / "tokenizer.json"))
    made = make_set(folder, vocabulary, formats=["parquet", "raw", "mds", "litdata"])
    assert made.finished.manifest["shards"]["dtype"] == request.param
    assert len(made.shards("train")) > 2
    return made


@pytest.fixture
def shard_set(made_set):
    """The set; no library may change, move or remove what it reads."""
    yield made_set
    assert check_shards(made_set.finished) == []


def dtype_of(shard_set: ShardSet) -> str:
    return shard_set.finished.manifest["shards"]["dtype"]


@pytest.mark.parametrize("split", ["train", "val"])
def test_mosaicml_streaming(shard_set, split, tmp_path):
    folder = shard_set.folder / "mds" / split
    found = read_with("mds", "read_mds", tmp_path / "out", folder, ROW, dtype_of(shard_set))
    assert found["rows"].dtype == dtype_of(shard_set)
    assert np.array_equal(found["rows"], shard_set.rows(split))
    assert np.array_equal(found["iterated"], shard_set.rows(split))
    again = tmp_path / "out" / "again" / "shard.00000.mds"
    assert again.read_bytes() == (folder / "shard.00000.mds").read_bytes()  # byte for byte what MDSWriter writes


def test_mosaicml_streaming_unpacks_zstd(tmp_path):
    made = make_set(tmp_path, "o200k_base", formats=["parquet", "mds"], compression="zstd")
    found = read_with("mds", "read_mds", tmp_path / "out", made.folder / "mds" / "train", ROW, "uint32")
    assert np.array_equal(found["rows"], made.rows("train"))


def test_mosaicml_streaming_hands_columns_out(tmp_path):
    options = {"formats": ["parquet", "mds"], "row": "document", "columns": ["position_ids"]}
    made = make_set(tmp_path, "o200k_base", sequence_tokens=ROW, **options)
    found = read_with("mds", "read_mds", tmp_path / "out", made.folder / "mds" / "train")
    assert np.array_equal(found["rows"], made.rows("train"))
    for name in ("attention_mask", "position_ids"):
        assert np.array_equal(found[name], made.rows("train", name)), name


def test_labels_reach_mosaicml_streaming_and_datasets(tmp_path):
    lines = [{"text": text, "kind": ["spam", "ham"][n % 3 == 0]} for n, text in enumerate(articles(3, 60))]
    (tmp_path / "mail.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    shards = {"row": "document", "sequence_tokens": ROW, "shard_tokens": 6000, "formats": ["parquet", "mds"]}
    config = sample_config(tmp_path, tmp_path / "run", shards=shards)
    config["sources"] = [{"name": "mail", "path": str(tmp_path / "mail.jsonl"), "label": "kind"}]
    run(parse_config(config))
    finished = load_run(str(tmp_path / "run"))
    made = ShardSet(finished, 0, 0)
    expected = [
        label
        for shard in finished.manifest["shards"]["splits"]["train"]["shards"]
        for label in pq.read_table(made.folder / shard["path"]).column("label").to_pylist()
    ]
    assert set(expected) == {0, 1}
    found = read_with("mds", "read_mds", tmp_path / "mds", made.folder / "mds" / "train", ROW, "uint32")
    assert found["label"].dtype == np.int64
    assert found["label"].tolist() == expected
    assert np.array_equal(found["rows"], made.rows("train"))
    again = tmp_path / "mds" / "again" / "shard.00000.mds"
    assert again.read_bytes() == (made.folder / "mds" / "train" / "shard.00000.mds").read_bytes()
    found = read_with("datasets", "read_datasets", tmp_path / "hub", made.folder / "train-*.parquet")
    assert found["label"].tolist() == expected


def test_loss_masks_reach_olmo_core(tmp_path):
    talks = [{"q": text[:200], "a": text[200:500]} for text in articles(4, 60) if len(text) > 500]
    (tmp_path / "talks.jsonl").write_text("".join(json.dumps(talk) + "\n" for talk in talks))
    shards = {"row": "best_fit", "sequence_tokens": ROW - 1, "shard_tokens": 6000, "formats": ["parquet", "raw"]}
    config = sample_config(tmp_path, tmp_path / "run", shards=shards)
    config["sources"] = [{"name": "talks", "path": str(tmp_path / "talks.jsonl"), "prompt": "q", "response": "a"}]
    run(parse_config(config))
    made = ShardSet(load_run(str(tmp_path / "run")), 0, 0)
    arguments = (made.folder / "raw" / "train", ROW, "uint32", 199_999, 200_030)
    found = read_with("olmo", "read_olmo", tmp_path / "out", *arguments)
    assert np.array_equal(found["rows"], made.rows("train"))
    masks = made.rows("train", "loss_mask")
    assert 0 < masks.mean() < 1
    assert np.array_equal(found["masks"], masks.astype(bool))


def test_packed_documents_reach_megatron_and_olmo_without_padding(tmp_path):
    """best_fit: every piece is a document; padding between them belongs to none."""
    made = make_set(tmp_path, "o200k_base", formats=["parquet", "raw"], row="best_fit")
    found = read_with("olmo", "read_olmo", tmp_path / "olmo", made.folder / "raw" / "train", ROW, "uint32", 0, 200_020)
    rows, lengths = made.shards("train")[0]
    expected, padding = [], 0
    for row, lens in zip(rows, lengths, strict=True):
        expected += np.split(row[: sum(lens)], np.cumsum(lens)[:-1])
        padding += ROW - sum(lens)
    assert padding > 0
    first = [(start, end) for number, start, end in found["listed"].tolist() if number == 0]
    flat = rows.reshape(-1)
    assert [flat[s:e].tolist() for s, e in first] == [piece.tolist() for piece in expected]
    arguments = (made.stem("train", 0), 32, made.end_of_text, made.vocabulary_size)
    found = read_with("megatron", "read_megatron", tmp_path / "megatron", *arguments)
    assert found["lengths"].tolist() == list(map(len, expected))
    assert np.array_equal(found["tokens"], np.concatenate(expected))


@pytest.mark.parametrize("split", ["train", "val"])
def test_litdata(shard_set, split, tmp_path):
    found = read_with("litdata", "read_litdata", tmp_path / "out", shard_set.folder / "litdata" / split, ROW)
    assert np.array_equal(found["rows"], shard_set.rows(split))
    assert np.array_equal(found["random"][::-1], shard_set.rows(split))


@pytest.mark.parametrize("number", [0, 1])
def test_megatron(shard_set, number, tmp_path):
    length = 64
    stem = shard_set.stem("train", number)
    arguments = (stem, length, shard_set.end_of_text, shard_set.vocabulary_size)
    found = read_with("megatron", "read_megatron", tmp_path / "out", *arguments)
    documents = shard_set.documents("train")[number]
    assert found["tokens"].dtype == ("uint16" if dtype_of(shard_set) == "uint16" else "int32")
    assert found["lengths"].tolist() == [len(document) for document in documents]
    assert found["document_indices"].tolist() == list(range(len(documents) + 1))
    assert np.array_equal(found["tokens"], np.concatenate(documents))
    # GPTDataset joins the documents in an order of its own, and cuts windows that share one token
    joined = np.concatenate([documents[n] for n in found["document_order"]])
    assert sorted(found["document_order"].tolist()) == list(range(len(documents)))
    assert len(found["inputs"]) == (len(joined) - 1) // length
    for sample, place in enumerate(found["sample_order"]):
        window = joined[place * length : place * length + length + 1]
        assert np.array_equal(found["inputs"][sample], window[:-1])
        assert np.array_equal(found["labels"][sample], window[1:])


def positions(shard_set: ShardSet, split: str) -> np.ndarray:
    """Places of tokens in their pieces, row by row; padding counts on behind the last piece."""
    found = []
    for _, lengths in shard_set.shards(split):
        for lens in lengths:
            padded = [*lens[:-1], lens[-1] + ROW - sum(lens)]
            found.append(np.concatenate([np.arange(length) for length in padded]))
    return np.stack(found)


@pytest.mark.parametrize("split", ["train", "val"])
def test_datatrove(shard_set, split, tmp_path):
    width = np.dtype(dtype_of(shard_set)).itemsize
    arguments = (shard_set.folder / "raw" / split, ROW - 1, width, shard_set.end_of_text)
    found = read_with("datatrove", "read_datatrove", tmp_path / "out", *arguments)
    assert np.array_equal(found["rows"], shard_set.rows(split))
    assert np.array_equal(found["positions"], positions(shard_set, split))
    full = [number for number, row in enumerate(shard_set.rows(split)) if number + 1 < len(shard_set.rows(split))]
    assert np.array_equal(found["positions_by_token"][full], positions(shard_set, split)[full])


@pytest.mark.parametrize("split", ["train", "val"])
def test_olmo_core(shard_set, split, tmp_path):
    arguments = (ROW, dtype_of(shard_set), shard_set.end_of_text, shard_set.vocabulary_size)
    found = read_with("olmo", "read_olmo", tmp_path / "out", shard_set.folder / "raw" / split, *arguments)
    assert np.array_equal(found["rows"], shard_set.rows(split))
    documents = shard_set.documents(split)
    assert [(n, e - s) for n, s, e in found["listed"].tolist()] == [
        (number, len(document)) for number, shard in enumerate(documents) for document in shard
    ]
    flat = [rows.reshape(-1) for rows, _ in shard_set.shards(split)]
    for (number, start, end), document in zip(found["listed"], [d for s in documents for d in s], strict=True):
        assert np.array_equal(flat[number][start:end], document)
    listed = {tuple(border) for border in found["listed"].tolist()}
    ended = {(n, s, e) for n, s, e in listed if flat[n][e - 1] == shard_set.end_of_text}
    assert ended <= {tuple(border) for border in found["scanned"].tolist()}
    # packed by OLMo-core itself: every token of every document once
    assert np.array_equal(np.sort(found["packed"]), np.sort(np.concatenate([d for s in documents for d in s])))


def test_hugging_face_datasets(shard_set, tmp_path):
    found = read_with("datasets", "read_datasets", tmp_path / "out", shard_set.folder / "train-*.parquet")
    lengths = [lens for _, shard in shard_set.shards("train") for lens in shard]
    for kind in ("table", "stream"):
        assert np.array_equal(found[f"{kind}_rows"], shard_set.rows("train"))
        assert found[f"{kind}_counts"].tolist() == list(map(len, lengths))
        assert found[f"{kind}_pieces"].tolist() == [length for lens in lengths for length in lens]
    assert found["type"].tolist() == [dtype_of(shard_set), str(ROW)]
    assert np.array_equal(found["skipped"], shard_set.rows("train")[5])
