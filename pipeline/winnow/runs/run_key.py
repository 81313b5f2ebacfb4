"""The key of an encrypted run: found before anything is read or written, and the one that its folder is of."""

from winnow.config.config import Config
from winnow.config.strict_yaml import read_yaml
from winnow.errors import EncryptionError
from winnow.runs.folder import CONFIG
from winnow.storage.keys import find_key, primitives
from winnow.storage.open_store import open_store
from winnow.storage.store import Store


def with_key(config: Config) -> Config:
    """The config with the id of its key, where it encrypts anything.

    Raises:
        EncryptionError: there is no key, or it is another one than the config names or the run folder is of.
    """
    encryption = config.storage.encryption
    if encryption is None:
        return config
    primitives()
    known = encryption.key_id or _known(open_store(config.run, config.storage))
    try:
        key = find_key(encryption.model_copy(update={"key_id": known}))
    except EncryptionError as error:
        raise EncryptionError(
            f"{config.run}: {error}"
            + ("" if encryption.key_id or not known else "; to go on under another key, set storage.encryption.key_id")
        ) from None
    storage = config.storage.model_copy(update={"encryption": encryption.model_copy(update={"key_id": key.id})})
    return config.model_copy(update={"storage": storage})


def _known(store: Store) -> str | None:
    """Id of the key that the run folder was written with; None where there is none."""
    if not store.exists(CONFIG):
        return None
    try:
        found = read_yaml(store.read(CONFIG).decode("utf-8"))["storage"]["encryption"]["key_id"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None
