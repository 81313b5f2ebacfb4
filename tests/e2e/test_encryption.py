"""Encrypted runs: what is in them is what a run without encryption writes, nobody reads it without the key, and the
key stands nowhere."""

import base64
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
import yaml

from jobs.exit_codes import OK, REFUSED
from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from tests.support.corpora import articles
from tests.support.fake_hub import TOKEN
from tests.support.fault_runs import ended
from winnow.audit.verify.verify import check_shards, check_work, recount
from winnow.config.config import parse_config
from winnow.errors import EncryptionError, StorageError
from winnow.finished.convert import convert
from winnow.finished.decrypt import decrypt
from winnow.finished.tables import TABLES, table_of
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.shards.formats.formats import FORMATS
from winnow.storage.age import identity_of
from winnow.storage.encrypted_names import is_encrypted
from winnow.storage.keys import new_key, parse_key

pyrage = pytest.importorskip("pyrage", reason="pyrage is not installed (make dev)")
pytest.importorskip("cryptography", reason="cryptography is not installed (extra `encryption`)")
KEY = new_key()
WORD = "zyxomma"
"""In every text, and nowhere else."""
SHARDS = {"sequence_tokens": 63, "shard_tokens": 4000, "splits": {"val": 0.1}, "formats": list(FORMATS)}
DOCUMENTS = {"formats": ["parquet", "jsonl.zst"]}


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("WINNOW_KEY", KEY)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rows = [
        {"id": str(n), "text": f"{WORD} {text} {WORD}."} for n, text in enumerate([*articles(1, 60), *articles(1, 5)])
    ]
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def config_of(data: Path, folder: Path, encryption: dict | None, **sections) -> dict:
    sections = {"shards": SHARDS, "documents": DOCUMENTS, "report": True} | sections
    source = source_of(data / "in.jsonl", "web", id="id")
    return run_config(folder, source, **sections, storage={"encryption": encryption})


@pytest.fixture(scope="module")
def plain(data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("plain") / "run"
    run(parse_config(config_of(data, folder, None)))
    return folder


@pytest.fixture(scope="module")
def encrypted(data, tmp_path_factory) -> Path:
    """With its work tables."""
    folder = tmp_path_factory.mktemp("encrypted") / "run"
    os.environ["WINNOW_KEY"] = KEY
    run(parse_config(config_of(data, folder, {"work": True})))
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def shard_folder(folder: Path) -> Path:
    found = load_run(str(folder))
    return found.store.path(found.shards)


def same_content(folder: Path, plain: Path, out: Path) -> None:
    """What is in an encrypted shard set is, byte for byte, that of a run without encryption; so is its clean text."""
    for kind, mine, theirs in (
        ("shards", shard_folder(folder), shard_folder(plain)),
        ("documents", next((folder / "documents").iterdir()), next((plain / "documents").iterdir())),
    ):
        decrypt(str(mine), str(out / kind))
        found, expected = files(out / kind), files(theirs)
        expected.pop("croissant.json", None)  # of the run's own set, with the hashes of its files
        manifests = [json.loads(content.pop("manifest.json")) for content in (found, expected)]
        for manifest in manifests:  # folders are named by what they come from, which is encrypted, too
            manifest.pop("folder", None), manifest.get("documents", {}).pop("folder", None)
        assert manifests[0] == manifests[1]
        assert found.keys() == expected.keys()
        assert [path for path in found if found[path] != expected[path]] == []


def test_the_content_is_that_of_a_run_without_encryption(encrypted, plain, tmp_path):
    same_content(encrypted, plain, tmp_path)
    one, other = load_run(str(encrypted)), load_run(str(plain))
    assert check_shards(one) == check_work(one, hashes=True) == []
    assert all(balance.expected == balance.found for balance in recount(one))
    for name in TABLES:
        if TABLES[name].files(other):
            assert table_of(one, name).to_table().equals(table_of(other, name).to_table()), name


def test_nothing_of_the_texts_nor_of_the_key_stands_in_the_clear(encrypted, plain):
    secret = base64.b64decode(KEY)
    derived = [parse_key(KEY, "here").derived(purpose) for purpose in ("age", "parquet")]
    needles = [f(form) for form in (secret, *derived) for f in (bytes, lambda s: s.hex().encode(), base64.b64encode)]
    needles += [identity_of(parse_key(KEY, "here")).encode(), WORD.encode(), WORD.encode("utf-16-le")]
    for path, content in files(encrypted).items():
        assert not [n for n in needles if n in content or n.upper() in content], path
    tokens = next(content for path, content in files(plain).items() if path.endswith(".bin"))[1000:1100]
    assert not [path for path, content in files(encrypted).items() if tokens in content]
    assert [path for path, content in files(plain).items() if WORD.encode() in content]  # the search finds such a thing
    clear = [path for path in files(encrypted / "work") if not is_encrypted(path)]
    assert {path.rpartition(".")[2] for path in clear} <= {"json", "listing"}


def test_without_work_tables_these_are_clear_and_the_summary_says_so(data, tmp_path):
    folder = tmp_path / "run"
    run(parse_config(config_of(data, folder, {})))
    clear = {path.split("/")[0] for path, content in files(folder).items() if WORD.encode() in content}
    assert clear == {"work"}
    code, text = winnow("summary", str(folder))
    assert code == OK and parse_key(KEY, "here").id in text
    assert f"WARNING: the tables under {folder}/work hold texts and tokens that are not encrypted" in text


def test_pyarrow_reads_shards_and_text_with_the_key_and_not_without(encrypted, plain):
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    from cryptography.hazmat.primitives.keywrap import aes_key_unwrap

    class Kms(pe.KmsClient):  # as docs/encryption.md has it
        def wrap_key(self, key_bytes, master_key_identifier):
            raise NotImplementedError

        def unwrap_key(self, wrapped_key, master_key_identifier):
            wrapping = HKDF(SHA256(), 32, None, b"winnow/v1/parquet").derive(base64.b64decode(KEY))
            return aes_key_unwrap(wrapping, base64.b64decode(wrapped_key))

    factory = pe.CryptoFactory(lambda _: Kms())
    properties = factory.file_decryption_properties(pe.KmsConnectionConfig())
    found = [path for path in sorted(encrypted.rglob("*.parquet")) if "work" not in path.parts]
    assert len(found) > 4
    for path in found:
        mine = next(plain.glob(f"{path.relative_to(encrypted).parts[0]}/*/{path.name}"))
        assert pq.read_table(path, decryption_properties=properties).equals(pq.read_table(mine))
        with pytest.raises(OSError, match="no decryption found"):
            pq.read_table(path)


def test_ages_own_library_reads_all_other_files(encrypted, plain):
    code, text = winnow("key", "--for", "age")
    assert code == OK
    identity = pyrage.x25519.Identity.from_str(text.strip())
    found = {p: c for p, c in files(encrypted).items() if is_encrypted(p) and not p.startswith("work/")}
    contents = sorted(pyrage.decrypt(content, [identity]) for content in found.values())
    theirs = {p: c for p, c in files(plain).items() if p.startswith(("shards/", "documents/"))}
    theirs = [
        c for p, c in theirs.items() if not p.endswith((".parquet", "manifest.json", "croissant.json", ".ds", ".npy"))
    ]
    assert contents == sorted(theirs) and len(contents) > 20
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(next(iter(found.values())), [pyrage.x25519.Identity.generate()])


def test_the_reader_gives_the_same_batches(encrypted, plain):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from winnow.shards import ShardDataset, ShardRows

    settings = {"batch_size": 8, "epochs": 2, "as_dict": True, "doc_lens": True, "verify": True}
    expected = list(ShardDataset(str(shard_folder(plain)), **settings))
    for kind in ("parquet", "raw"):
        found = list(ShardDataset(str(shard_folder(encrypted)), **settings, file_format=kind))
        assert len(found) == len(expected) > 10
        for one, other in zip(found, expected, strict=True):
            assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
        rows = ShardRows(str(shard_folder(encrypted)), file_format=kind)
        some = np.random.default_rng(1).permutation(len(rows))[:50].tolist()
        assert torch.equal(rows[some][0], ShardRows(str(shard_folder(plain)))[some][0])
    loader = torch.utils.data.DataLoader(ShardDataset(str(shard_folder(encrypted)), batch_size=8), None, num_workers=1)
    one, other = next(iter(loader)), next(iter(ShardDataset(str(shard_folder(plain)), batch_size=8)))
    assert torch.equal(one[0], other[0])


WRONG = {"missing": None, "another": new_key(), "none": "no key at all"}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_without_the_right_key_nothing_is_read_or_written(encrypted, data, tmp_path, monkeypatch, text):
    folder, out = tmp_path / "run", tmp_path / "out"
    shutil.copytree(encrypted, folder)
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump(config_of(data, folder, {"work": True}, shards=SHARDS | {"seed": 7})))
    before = files(folder)
    monkeypatch.setenv("WINNOW_KEY", text) if text else monkeypatch.delenv("WINNOW_KEY")
    for command in (
        ["run", str(config)],
        ["plan", str(config)],
        ["verify", str(folder)],
        ["why", "1", str(folder)],
        ["kept", str(folder)],
        ["shards", "head", str(folder)],
        ["shards", "convert", str(folder), "--format", "mds", "--out", str(out)],
        ["export", "documents", str(folder), "--format", "jsonl.zst", "--column", "text"],
        ["decrypt", str(folder), str(out)],
        ["forget", str(folder), "--match", WORD],
        ["audit", "dedup", str(folder)],
        ["report", str(folder)],
    ):
        code, told = winnow(*command)
        assert code == REFUSED, (command, told)
        assert parse_key(KEY, "here").id in told or text == "no key at all", (command, told)
        assert KEY not in told and "no key at all" not in told
    assert files(folder) == before
    assert not out.exists()
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from winnow.shards import ShardDataset

    with pytest.raises(EncryptionError, match=r"key"):
        ShardDataset(str(shard_folder(folder)))
    assert torch


@pytest.mark.slow
def test_a_run_goes_on_under_its_key_and_under_another_only_when_asked(data, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    run(parse_config(config_of(data, folder, {})))
    before = shard_folder(folder)
    again = run(parse_config(config_of(data, folder, {})))
    assert all(stage.units == stage.reused for stage in again.engine.summaries)
    assert shard_folder(folder) == before
    other = new_key()
    monkeypatch.setenv("WINNOW_KEY", other)
    with pytest.raises(EncryptionError, match=r"to go on under another key, set storage\.encryption\.key_id"):
        run(parse_config(config_of(data, folder, {})))
    rotated = run(parse_config(config_of(data, folder, {"key_id": parse_key(other, "here").id})))
    computed = {stage.name for stage in rotated.engine.summaries if stage.units > stage.reused}
    assert computed == {"shards", "shard_index", "document_shards"}
    assert shard_folder(folder) != before and check_shards(load_run(str(folder))) == []


def test_a_flipped_byte_is_found(encrypted, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(encrypted, folder)
    found = load_run(str(folder))
    victims = [next(shard_folder(folder).rglob(f"train-00001*{end}")) for end in (".parquet", ".bin.age")]
    for victim in victims:
        content = bytearray(victim.read_bytes())
        content[len(content) // 3] ^= 1
        victim.write_bytes(content)
    faults = "\n".join(check_shards(found))
    assert all(f"{victim.name}: altered" in faults for victim in victims)
    with pytest.raises(StorageError, match="altered"):
        decrypt(str(folder), str(tmp_path / "out"))
    assert not (tmp_path / "out" / "manifest.json").exists()
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from winnow.errors import ShardError
    from winnow.shards import ShardDataset

    for kind in ("parquet", "raw"):
        with pytest.raises(ShardError, match="altered"):
            list(ShardDataset(str(shard_folder(folder)), file_format=kind))
    assert torch


@pytest.mark.slow
def test_converted_and_exported_sets_are_encrypted_too(encrypted, plain, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(encrypted, folder)
    out = convert(load_run(str(folder)), "mds", str(tmp_path / "mds"))
    assert not [path for path in files(Path(out)) if not is_encrypted(path) and path != "manifest.json"]
    decrypt(out, str(tmp_path / "clear"))
    theirs = convert(load_run(str(plain)), "mds", str(tmp_path / "theirs"))
    mine, theirs = files(tmp_path / "clear"), files(Path(theirs))
    assert mine.keys() == theirs.keys()
    assert all(mine[path] == theirs[path] for path in mine if path != "manifest.json")
    before = set(files(folder))
    assert winnow("export", "documents", str(folder), "--format", "jsonl.zst", "--column", "text")[0] == OK
    new = {path for path in set(files(folder)) - before if path.startswith("documents/")}
    assert {path.rpartition("/")[2] for path in new} >= {"manifest.json"}
    assert all(is_encrypted(path) or path.endswith("manifest.json") for path in new)


@pytest.mark.slow
def test_documents_are_forgotten_in_an_encrypted_run(encrypted, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(encrypted, folder)
    (tmp_path / "ids.txt").write_text("3\n")
    code, told = winnow("forget", str(folder), "--ids", str(tmp_path / "ids.txt"))
    assert code == OK, told
    proof = json.loads((folder / "forget/001/proof.json").read_text())
    assert proof and not [path for path, content in files(folder).items() if WORD.encode() in content]
    assert "removed_on_request" in winnow("why", "3", str(folder))[1]


@pytest.mark.slow
@pytest.mark.parametrize("work", [False, True])
def test_workers_and_kills_change_nothing(data, plain, tmp_path, work):
    """Of a shard whose worker was killed before the record, the file of the first attempt stays, under its own hash."""
    settings = config_of(data, tmp_path / "run", {"work": work}, compute={"executor": "processes", "workers": 2})
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(settings))
    line = [sys.executable, "-m", "jobs", "run", str(tmp_path / "c.yaml")]
    faults = [
        {"point": "commit", "is": {"stage": stage}, "do": "kill", "times": 1, "worker": True}
        for stage in ("measure", "shards", "document_shards")
    ]
    code, messages = ended(line, tmp_path / "marks", *faults)
    assert code == OK, messages
    assert len(list((tmp_path / "marks").iterdir())) == 3 and KEY not in messages
    found = load_run(str(tmp_path / "run"))
    assert check_shards(found) == check_work(found, hashes=True) == []
    same_content(tmp_path / "run", plain, tmp_path / "clear")


@pytest.mark.slow
def test_on_ray_workers_find_the_key(data, tmp_path):
    settings = config_of(data, tmp_path / "run", {}, compute={"executor": "ray", "workers": 2})
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(settings))
    line = [sys.executable, "-m", "jobs", "run", str(tmp_path / "c.yaml")]
    code, messages = ended(line, tmp_path / "marks")
    assert code == OK, messages
    assert check_shards(load_run(str(tmp_path / "run"))) == []
    assert KEY not in messages


@pytest.mark.slow
def test_a_push_sends_what_is_stored_and_its_card_says_how_to_read_it(encrypted, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    code, told = winnow("push", str(encrypted), "hf://datasets/acme/tokens")
    assert code == OK, told
    sent, mine = hub.repositories["acme/tokens"].files("main"), files(encrypted)
    pushed = [content for path, content in sent.items() if path.startswith(("shards/", "documents/"))]
    assert len(pushed) > 30 and set(pushed) <= set(mine.values())
    assert not [path for path, content in sent.items() if WORD.encode() in content]
    card = sent["README.md"].decode()
    assert parse_key(KEY, "here").id in card and "winnow decrypt" in card and "load_dataset" not in card


@pytest.mark.slow
def test_nights_share_an_encrypted_index(data, tmp_path):
    """Each night's own tables and the index are encrypted; the second night finds the first one's copies in it."""
    (tmp_path / "in").mkdir()
    settings = config_of(data, tmp_path / "corpus", {"work": True}, documents=None, report=False, dedup={})
    settings["sources"] = [source_of(tmp_path / "in/*.jsonl", "web", id="id")]
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(settings))
    whole = (data / "in.jsonl").read_text().splitlines(keepends=True)
    for night, lines in (("a", whole[:40]), ("b", whole[20:60])):
        (tmp_path / f"in/{night}.jsonl").write_text("".join(lines))
        code, told = winnow("run", str(tmp_path / "c.yaml"), "--new-only", "--as", night)
        assert code == OK, told
    night = load_run(str(tmp_path / "corpus/sets/b"))
    assert night.manifest["books"]["outcomes"]["exact_duplicate"] == 20
    assert check_shards(night) == [] and all(b.expected == b.found for b in recount(night))
    index = [path for path in files(tmp_path / "corpus/index") if not path.endswith((".json", ".listing"))]
    assert index and all(map(is_encrypted, index))
    assert not [path for path, content in files(tmp_path / "corpus").items() if WORD.encode() in content]
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from winnow.shards import ShardRows

    assert len(ShardRows(str(tmp_path / "corpus"))) and torch


@pytest.mark.slow
def test_in_an_object_store_it_is_the_same(s3, data, plain, tmp_path):
    import s3fs

    s3fs.S3FileSystem().makedirs("winnow-encrypted", exist_ok=True)
    address = f"s3://winnow-encrypted/{tmp_path.name}"
    settings = config_of(data, tmp_path / "run", {"work": True}) | {"run": f"{address}/run"}
    settings["storage"] |= {"scratch": str(tmp_path / "scratch"), "sse": "AES256"}
    finished = run(parse_config(settings)).run
    found = load_run(f"{address}/run")
    assert check_shards(found) == check_work(found, hashes=True) == []
    assert all(balance.expected == balance.found for balance in recount(found))
    decrypt(f"{address}/{'run'}", str(tmp_path / "clear"))
    mine, theirs = files(tmp_path / "clear"), files(shard_folder(plain))
    theirs.pop("croissant.json", None)
    assert mine.keys() == theirs.keys()
    assert [path for path in mine if mine[path] != theirs[path]] in ([], ["manifest.json"])
    assert not [path for path, content in files(tmp_path / "scratch").items() if WORD.encode() in content]
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from winnow.shards import ShardRows

    folder = f"{address}/run/{finished.shards}"
    one = ShardRows(folder, cache=str(tmp_path / "cache"), file_format="raw")
    assert torch.equal(one[[3, 1]][0], ShardRows(str(shard_folder(plain)))[[3, 1]][0])
