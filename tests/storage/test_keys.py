"""Where keys are found, what is refused as one, and that nothing shows them."""

import base64
import logging
import os
import pickle
import traceback

import pytest

from jobs.exit_codes import REFUSED
from jobs.submit import _refuse_keys
from tests.support.commands import winnow
from tests.support.configs import unread_config
from winnow.config.config import parse_config
from winnow.config.load import read_config
from winnow.config.strict_yaml import write_yaml
from winnow.errors import ConfigError, EncryptionError
from winnow.storage.config import EncryptionConfig
from winnow.storage.keys import find_key, new_key, parse_key

crypto = pytest.importorskip("cryptography.hazmat.primitives.kdf.hkdf", reason="cryptography (extra `encryption`)")
SETTINGS = EncryptionConfig()


def encrypted(**settings):
    return unread_config(storage={"encryption": settings})


def test_what_is_derived_is_hkdf():
    from cryptography.hazmat.primitives.hashes import SHA256

    secret = os.urandom(32)
    key = parse_key(secret.hex(), "here")
    for purpose in ("age", "parquet"):
        expected = crypto.HKDF(SHA256(), 32, None, f"winnow/v1/{purpose}".encode()).derive(secret)
        assert key.derived(purpose) == expected
    assert key.id == crypto.HKDF(SHA256(), 32, None, b"winnow/v1/id").derive(secret)[:8].hex()


def test_hexadecimal_and_base64_are_one_key(monkeypatch):
    secret = os.urandom(32)
    ids = set()
    for text in (secret.hex(), secret.hex().upper(), base64.b64encode(secret).decode(), f" {secret.hex()}\n"):
        monkeypatch.setenv("WINNOW_KEY", text)
        ids.add(find_key(SETTINGS).id)
    assert len(ids) == 1


@pytest.mark.parametrize(
    "text", ["short", "A" * 43 + "=", "0" * 64, base64.b64encode(bytes(range(100, 116))).decode(), "ü" * 32]
)
def test_what_is_no_key_is_refused_and_not_shown(monkeypatch, text):
    monkeypatch.setenv("WINNOW_KEY", text)
    with pytest.raises(EncryptionError, match="WINNOW_KEY") as error:
        find_key(SETTINGS)
    assert text not in str(error.value)
    assert text not in "".join(traceback.format_exception(error.value, chain=True)).partition("EncryptionError")[2]


def test_a_key_stays_in_its_process_and_out_of_messages(monkeypatch):
    text = new_key()
    monkeypatch.setenv("WINNOW_KEY", text)
    key = find_key(SETTINGS)
    with pytest.raises(TypeError, match="stays in the process"):
        pickle.dumps(key)
    assert repr(key) == f"Key(id='{key.id}')" and text not in str(vars(SETTINGS))


def test_a_missing_and_a_wrong_key_are_told_by_name(monkeypatch):
    monkeypatch.delenv("WINNOW_KEY", raising=False)
    wanted = SETTINGS.model_copy(update={"key_id": "0123456789abcdef"})
    with pytest.raises(EncryptionError, match=r"WINNOW_KEY .* is not set \(key id 0123456789abcdef\)"):
        find_key(wanted)
    monkeypatch.setenv("WINNOW_KEY", new_key())
    with pytest.raises(EncryptionError, match="wrong key: .* this needs the one with id 0123456789abcdef"):
        find_key(wanted)


def test_a_command_prints_the_key(monkeypatch, tmp_path):
    monkeypatch.delenv("WINNOW_KEY", raising=False)
    text, asked = new_key(), tmp_path / "asked"
    settings = SETTINGS.model_copy(update={"command": ("sh", "-c", f"echo x >> {asked}; echo {text}")})
    assert find_key(settings).id == find_key(settings).id == parse_key(text, "here").id
    assert asked.read_text() == "x\n"  # once a process
    for command, told in (
        (("sh", "-c", "echo denied >&2; exit 3"), "ended with code 3"),
        (("no-such-program",), "No such file"),
        (("echo", "nothing"), "no key"),
    ):
        with pytest.raises(EncryptionError, match=told):
            find_key(SETTINGS.model_copy(update={"command": command}))


def test_a_command_is_written_nowhere():
    """It may hold a token; and whoever asks a run folder of others runs none of their programs."""
    config = parse_config(encrypted(command=["vault", "read", "-token=hvs.secret"]))
    assert config.storage.encryption.command == ("vault", "read", "-token=hvs.secret")
    for shown in (config.model_dump_json(), repr(config), str(config.storage)):
        assert "hvs.secret" not in shown
    assert pickle.loads(pickle.dumps(config)) == config  # workers have it


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "{key}"},
        {"key": "env:{key}"},
        {"key": ["{key}"]},
        {"key_id": "{key}"},
        {"work": "{key}"},
        {"command": "{key}"},
        "{key}",
        ["{key}"],
        {"key": {"value": "{key}"}},
    ],
)
def test_a_key_in_a_config_is_refused_and_not_shown(wrong, caplog):
    for text in (new_key(), f"a{os.urandom(32).hex()[1:]}"):
        refuse(wrong, text, caplog)


def refuse(wrong, text, caplog):
    def filled(value):
        if isinstance(value, dict):
            return {name: filled(inner) for name, inner in value.items()}
        return [filled(item) for item in value] if isinstance(value, list) else value.replace("{key}", text)

    settings = unread_config(storage={"encryption": filled(wrong)})
    for refused in (lambda: parse_config(settings), lambda: read_config(write_yaml(settings), "c.yaml")):
        with caplog.at_level(logging.DEBUG), pytest.raises(ConfigError) as error:
            refused()
        told = "".join(traceback.format_exception(error.value)) + caplog.text
        assert "storage.encryption" in str(error.value) and text not in told


def test_a_job_is_given_no_key():
    """What a job's runtime environment holds, the dashboard shows."""
    config = parse_config(encrypted(key="env:MINE"))
    _refuse_keys(config, {"OTHER": "x"})
    _refuse_keys(parse_config(unread_config()), {"MINE": "x"})
    with pytest.raises(EncryptionError, match="--env MINE: .* shown on the dashboard") as error:
        _refuse_keys(config, {"MINE": "the-secret"})
    assert "the-secret" not in str(error.value)


def test_the_command_line_makes_and_names_keys(monkeypatch):
    code, text = winnow("key", "--new")
    assert code == 0 and len(base64.b64decode(text.strip(), validate=True)) == 32
    monkeypatch.setenv("MINE", text.strip())
    assert winnow("key", "--key", "env:MINE") == (0, parse_key(text, "here").id + "\n")
    monkeypatch.delenv("WINNOW_KEY", raising=False)
    for arguments in (["key"], ["key", "--key", text.strip()]):
        code, told = winnow(*arguments)
        assert code == REFUSED and text.strip() not in told
