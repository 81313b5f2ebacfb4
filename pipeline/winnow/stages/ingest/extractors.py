"""Operators that take text out of HTML, named by sources: put into the run folder, and loaded where pages are read."""

from collections.abc import Iterable
from functools import partial

import orjson

from winnow.operators.apply import Applier
from winnow.operators.config import OperatorConfig
from winnow.operators.files import FOLDER, NamedFile, local_copy, publish
from winnow.operators.find import made_operator
from winnow.operators.operator import Operator
from winnow.sources.source import SourceConfig
from winnow.sources.web.own_extract import OwnExtract, load
from winnow.storage.store import Store


def extractors_of(sources: Iterable[SourceConfig]) -> list[OperatorConfig]:
    """The operators that sources name."""
    return [source.extract for source in sources if isinstance(source.extract, OperatorConfig)]


def publish_extractors(sources: Iterable[SourceConfig], store: Store) -> None:
    """Put them, and what their settings name, into the run folder.

    Raises:
        StorageError: it cannot be written.
    """
    entries = extractors_of(sources)
    told = [NamedFile(_place(entry.found.fingerprint), _written(entry.found)) for entry in entries]
    publish(store, [*(file for entry in entries for file in entry.found.published), *told])


def loaded_extractor(source: SourceConfig, store: Store) -> OwnExtract | None:
    """The operator of a source, loaded; None where it names none.

    Raises:
        ConfigError, OperatorError: it cannot be loaded here.
    """
    if not isinstance(source.extract, OperatorConfig):
        return None
    return load(source.extract, partial(_made, store))


def _made(store: Store, fingerprint: str) -> Applier:
    told = orjson.loads(store.read(_place(fingerprint)))
    operator = Operator.from_described(told["operator"], told["folders"])
    return Applier(operator, made_operator(operator, partial(local_copy, store)))


def _place(fingerprint: str) -> str:
    return f"{FOLDER}/extract/{fingerprint}.json"


def _written(operator: Operator) -> bytes:
    return orjson.dumps({"operator": operator.described, "folders": operator.folder_paths})
