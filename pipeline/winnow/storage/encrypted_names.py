"""Names of encrypted files: what is behind ``.age`` is the name of the content. Parquet files are encrypted inside."""

SUFFIX = ".age"
"""Behind the name of every file in the age format (:mod:`winnow.storage.age`)."""


def is_encrypted(path: str) -> bool:
    """Whether a path names a file in that format."""
    return path.endswith(SUFFIX)


def content_name(path: str) -> str:
    """The name of what is in a file."""
    return path.removesuffix(SUFFIX)
