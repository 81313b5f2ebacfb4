"""The model that names languages, settled when a run begins: found, looked through, and pinned to what it is.

Reads the file; writes nothing.
"""

import hashlib
from pathlib import Path

from winnow.config.config import Config
from winnow.config.languages import check_languages
from winnow.errors import ConfigError, NamedObjectError
from winnow.operators.files import NamedFile, fetched, hash_of_file, published_path
from winnow.text.fasttext.file import ModelError, read_model
from winnow.text.language.codes import LANGUAGES, NO_LANGUAGE, UNDETERMINED, codes_of_labels


def pin_language_model(config: Config) -> Config:
    """The config with its model of languages pinned, and every language that a rule names known to that model.

    Raises:
        ConfigError: the model is not there, is none of languages, is damaged, is not what it was pinned to, or never
            gives a language that a rule names.
        ObjectStorageError: the store refuses.
    """
    language = config.measure.language
    if language.model is None:
        return config
    try:
        path = fetched(language.model, config.storage)
        labels = read_model(str(path)).labels
        codes = codes_of_labels(labels)
        digest = published_path(hash_of_file(path), path.name)
        sha256 = _sha256(path)
    except OSError as error:
        raise ConfigError(
            f"measure.language.model: {language.model}: {error.strerror or error}; a path is taken from the config's "
            "folder"
        ) from error
    except (ModelError, NamedObjectError, ValueError) as error:
        raise ConfigError(f"measure.language.model: {language.model}: {error}") from error
    if language.pinned is not None and language.pinned != sha256:
        raise ConfigError(
            f"measure.language.model: {language.model}: is not what `pinned` names ({language.pinned}), but {sha256}; "
            "put the earlier file back, or take `pinned` out"
        )
    known = {code: LANGUAGES.get(code, code) for code in (*codes, UNDETERMINED, NO_LANGUAGE)}
    try:
        check_languages(config.filter, known)
    except ValueError as error:
        raise ConfigError(f"{error} (of the model {path.name})") from error
    found = language.with_file(NamedFile(digest, path), sha256)
    return config.model_copy(update={"measure": config.measure.model_copy(update={"language": found})})


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
