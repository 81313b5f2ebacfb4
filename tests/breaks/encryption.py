"""Encryption: nothing is read without the key, nothing of it stands anywhere, and the content is what it ever was."""

from tests.breaks.change import Break

_RUNS = ("tests/e2e/test_encryption.py",)
_KEYS = ("tests/storage/test_keys.py",)

BREAKS = (
    Break(
        "Parquet shards are written in the clear",
        3,
        "winnow.shards.parquet",
        "encryption=sink.store.encryption() if sink.encrypted else None",
        "encryption=None",
        _RUNS,
    ),
    Break(
        "tables of an encrypted run are written in the clear",
        3,
        "winnow.engine.engine",
        "if encryption and encryption.work else stage",
        "if False else stage",
        _RUNS,
    ),
    Break(
        "the page of an encrypted run shows duplicates side by side",
        3,
        "winnow.report.page.sections",
        "part.pairs = [] if run.is_encrypted else",
        "part.pairs =",
        _RUNS,
    ),
    Break(
        "another key than the one that is named will do",
        3,
        "winnow.storage.keys",
        "    if settings.key_id not in (None, key.id):",
        "    if False:",
        (*_KEYS, *_RUNS),
    ),
    Break(
        "a command that prints the key is written into the run folder",
        3,
        "winnow.storage.config",
        "exclude=True, repr=False",
        "repr=False",
        _KEYS,
    ),
    Break(
        "a message shows what stood where no key belongs",
        3,
        "winnow.config.messages",
        '        if _GUARDED in mistake["loc"]:',
        "        if False:",
        _KEYS,
    ),
    Break(
        "an encrypted file that was cut at a block's end is read as a shorter one",
        3,
        "winnow.storage.age",
        "memoryview(self._chunks_of(last, last + 1)), last",
        'memoryview(b""), 0',
        ("tests/storage/test_age.py",),
    ),
    Break(
        "of two attempts at an encrypted shard the last replaces what the record of the first describes",
        2,
        "winnow.storage.local_store",
        "if once and _is_there(target, draft.bytes, draft_path):",
        "if False:",
        ("tests/storage/test_encrypted_store.py",),
    ),
    Break(
        "the index of encrypted shards is named by their encryption, which differs each time",
        2,
        "winnow.stages.shards.shard_index",
        '{"hash": record.metadata[CONTENTS][file_format]}',
        "{}",
        _RUNS,
    ),
    Break(
        "the index of MDS shards holds hashes of encrypted files, which no trainer sees",
        2,
        "winnow.shards.formats.mds",
        "shard.entry(stored.content_bytes, stored.content_hash",
        "shard.entry(stored.bytes, stored.hash",
        _RUNS,
    ),
)
