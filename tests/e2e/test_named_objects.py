"""Vocabulary, chat template, centres and encoder at addresses: the bytes of a run that has them on its disk."""

import base64
import json
import subprocess
from pathlib import Path

import numpy as np
import orjson
import pytest

from tests.support.configs import run_config, source_of
from tests.support.corpora import article
from tests.support.finished import shards_of
from tests.support.processes import command
from winnow.config.config import parse_config
from winnow.errors import ConfigError
from winnow.runs.corpus import is_unchanged
from winnow.runs.plan import plan_run
from winnow.runs.run import load_run_vocabulary, run
from winnow.runs.state import load_run

BUCKET = "winnow-named-runs"
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}"
    "{% else %}{{ m.content }}: {% endif %}{% endfor %}"
)


def ranks(*merges: bytes) -> bytes:
    tokens = [bytes([byte]) for byte in range(256)] + list(merges)
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens))


@pytest.fixture
def given(tmp_path) -> Path:
    """A folder with what configs name beside their inputs."""
    import random

    rng = random.Random(5)
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "own.tiktoken").write_bytes(ranks(b"th", b"the", b" t", b"in", b"er"))
    (folder / "chat.jinja").write_text(TEMPLATE)
    centres = np.random.default_rng(3).normal(size=(3, 64)).astype(np.float32)
    np.save(folder / "centres.npy", centres / np.linalg.norm(centres, axis=1, keepdims=True))
    with (tmp_path / "talks.jsonl").open("w") as file:
        for _ in range(30):
            file.write(json.dumps({"q": article(rng, 4), "a": article(rng, 8)}) + "\n")
    return folder


@pytest.fixture
def far(s3, given, tmp_path) -> str:
    """The same in a store."""
    import s3fs

    files = s3fs.S3FileSystem()
    files.makedirs(BUCKET, exist_ok=True)
    files.put(str(given), f"{BUCKET}/{tmp_path.name}/given", recursive=True)
    return f"s3://{BUCKET}/{tmp_path.name}/given"


def config(place: object, tmp_path: Path, name: str, **sections) -> dict:
    talks = source_of(tmp_path / "talks.jsonl", "talks", prompt="q", response="a", chat_template=f"{place}/chat.jinja")
    own = {
        "tokenise": {"encoding": f"{place}/own.tiktoken", "pattern": "gpt2"},
        "select": {"encoder": {"dimensions": 64}, "clusters": {"centres": f"{place}/centres.npy"}},
        "shards": {"row": "document", "sequence_tokens": 2000},
        "storage": {"scratch": str(tmp_path / "scratch"), "retries": 0},
    }
    return run_config(tmp_path / name, talks, **own | sections)


def stages(context) -> dict[str, bool]:
    """Whether each stage did anything."""
    return {summary.name: summary.units > summary.reused for summary in context.engine.summaries}


@pytest.mark.slow
def test_a_run_with_files_in_a_store_gives_the_bytes_of_one_with_paths_and_notices_changes(given, far, tmp_path):
    run(parse_config(config(given, tmp_path, "near")))
    parsed = parse_config(config(far, tmp_path, "far"))
    run(parsed)
    assert shards_of(tmp_path / "far") == shards_of(tmp_path / "near")
    assert not any(stages(run(parsed)).values()) and is_unchanged(parsed)
    assert f"{far}/own.tiktoken\n" in (tmp_path / "far/config.yaml").read_text()

    from winnow.storage.open_store import open_store

    store = open_store(far)
    finished = load_run(str(tmp_path / "far"))
    store.replace("own.tiktoken", ranks(b"re", b"an"))
    assert not is_unchanged(parsed)
    assert load_run_vocabulary(finished.config).size == 256 + 5 + 1  # what it was made with, from the node's copy
    assert not plan_done(parsed, "tokenise")
    changed = stages(run(parsed))
    assert changed["tokenise"] and not changed["measure"] and not changed["centres"]
    assert load_run(str(tmp_path / "far")).manifest["vocabulary"]["size"] == 256 + 2 + 1

    store.replace("chat.jinja", TEMPLATE.replace(": ", "; ").encode())
    assert stages(run(parsed))["measure"]
    store.replace("centres.npy", moved(given / "centres.npy"))
    changed = stages(run(parsed))
    assert changed["centres"] and not changed["tokenise"]


def plan_done(parsed, name: str) -> bool:
    return next(stage.units == stage.done for stage in plan_run(parsed).stages if stage.name == name)


def moved(file: Path) -> bytes:
    from io import BytesIO

    out = BytesIO()
    np.save(out, np.load(file)[::-1].copy())
    return out.getvalue()


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("own.tiktoken", "tokenise.encoding"),
        ("chat.jinja", "chat_template of source 'talks'"),
        ("centres.npy", "select.clusters.centres"),
    ],
)
def test_what_is_missing_is_told_before_any_work(far, tmp_path, missing, named):
    from winnow.storage.open_store import open_store

    open_store(far).remove(missing)
    with pytest.raises(ConfigError, match=f"{named}: {far}/{missing}: no such object"):
        run(parse_config(config(far, tmp_path, "run")))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_what_is_wrong_is_told_by_its_address(far, tmp_path):
    from winnow.storage.open_store import open_store

    for name in ("own.tiktoken", "chat.jinja", "centres.npy"):
        store = open_store(far)
        before = store.read(name)
        store.replace(name, b"nothing of the kind")
        with pytest.raises(ConfigError, match=f"{far}/{name}") as told:
            run(parse_config(config(far, tmp_path, "run")))
        assert "scratch" not in str(told.value)
        store.replace(name, before)
    store.replace("centres.json", b'{"encoder": "another one"}')
    with pytest.raises(ConfigError, match=f"{far}/centres.npy are centres of another encoder"):
        run(parse_config(config(far, tmp_path, "run")))


@pytest.mark.parametrize("setting", ["encoding", "chat_template", "model", "centres", "target"])
def test_credentials_are_refused_wherever_an_address_stands(tmp_path, setting):
    bad = "s3://KEY:hidden@bucket/file.tiktoken"
    values = config(tmp_path, tmp_path, "run")
    values["sources"][0]["chat_template"] = bad if setting == "chat_template" else TEMPLATE
    values["select"] = {"encoder": {"model": "hashing"}, "clusters": {}, "sample": {"target_tokens": 100}}
    section = {"encoding": values["tokenise"], "model": values["select"]["encoder"]}.get(setting)
    if section is not None:
        section[setting] = bad
    elif setting == "centres":
        values["select"]["clusters"]["centres"] = bad
    elif setting == "target":
        values["select"]["importance"] = {"target": bad}
    with pytest.raises(ConfigError, match="holds credentials") as told:
        parse_config(values)
    assert "hidden" not in str(told.value)


@pytest.mark.slow
def test_commands_write_to_a_store(given, far, tmp_path):
    from jobs.audit import _can_write, _put
    from winnow.runs.train_tokeniser import train_vocabulary
    from winnow.storage.open_store import open_store

    compared = ()
    for out in (str(given / "trained"), f"{far}/trained"):
        values = config(far, tmp_path, "run", tokenise={"encoding": f"{out}/vocabulary.tiktoken", "pattern": "gpt2"})
        train_vocabulary(parse_config(values), 300, 1, "gpt2", 7, out, compared)
        open_store(far).replace("same.json", (given / "trained/tokenizer.json").read_bytes())
        compared = (f"{far}/same.json",)
    store = open_store(f"{far}/trained")
    for name in ("vocabulary.tiktoken", "tokenizer.json"):
        assert store.read(name) == (given / "trained" / name).read_bytes()
    assert f"{far}/trained/vocabulary.tiktoken".encode() in store.read("tokenise.yaml")
    storage = parse_config(values).storage
    _can_write(storage, f"{far}/page.html", str(tmp_path / "pages" / "page.html"))
    _put(f"{far}/page.html", b"page", storage)
    assert open_store(far).read("page.html") == b"page" and (tmp_path / "pages").is_dir()
    with pytest.raises(OSError, match="create the bucket"):
        _can_write(storage, "s3://winnow-no-such-bucket/page.html")


@pytest.mark.slow
def test_an_encoder_in_a_store_on_workers_and_exports_to_one(given, far, tmp_path, s3):
    save_tiny_encoder(given / "model", tmp_path / "talks.jsonl")
    import s3fs

    s3fs.S3FileSystem().put(str(given / "model"), f"{far}/model", recursive=True)
    found = {}
    for name, place in (("near", given), ("far", far)):
        select = {"encoder": {"model": f"{place}/model", "precision": "fp32"}, "clusters": {"number": 3}}
        values = config(place, tmp_path, name, select=select)
        if name == "far":
            values["compute"] = {"executor": "ray", "workers": 1}
        line = command(values, tmp_path / f"{name}.yaml")
        done = subprocess.run(line, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        out = f"{far}/out" if name == "far" else str(tmp_path / "out")
        from winnow.finished.export import export_embeddings

        assert export_embeddings(load_run(values["run"]), out) > 0
        from winnow.storage.open_store import open_store

        store = open_store(out)
        found[name] = [(file, store.read(file)) for file in store.list("")]
    assert found["near"] == found["far"] and [name for name, _ in found["near"]] == [
        "clusters.json",
        "clusters.npy",
        "embeddings-00000.parquet",
    ]
    assert shards_of(tmp_path / "far") == shards_of(tmp_path / "near")
    from winnow.finished.explore import nearest_documents

    nearest = [nearest_documents(load_run(str(tmp_path / name)), "the river carries", 3) for name in found]
    assert nearest[0] == nearest[1]
    assert b"model#" in orjson.dumps(load_run(str(tmp_path / "far")).config.model_dump(mode="json"))


def save_tiny_encoder(folder: Path, texts: Path) -> None:
    """A BERT of two layers with seeded weights, and a vocabulary of the texts' words."""
    torch = pytest.importorskip("torch", reason="needs the extra `encoder`")
    transformers = pytest.importorskip("transformers", reason="needs the extra `encoder`")
    from tokenizers import BertWordPieceTokenizer

    tokeniser = BertWordPieceTokenizer()
    tokeniser.train([str(texts)], vocab_size=300, show_progress=False)
    torch.manual_seed(1)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2}
    shape = transformers.BertConfig(vocab_size=tokeniser.get_vocab_size(), max_position_embeddings=64, **size)
    transformers.BertModel(shape).save_pretrained(folder)
    tokeniser.save(str(folder / "tokenizer.json"))
