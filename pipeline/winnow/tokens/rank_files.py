"""Rank files (``.tiktoken``): lines of ``base64(token) rank``. Nothing is downloaded."""

import binascii
import gzip
import hashlib
import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

from winnow.sources.stored_file import GIT_LFS
from winnow.tokens.patterns import ENCODINGS
from winnow.tokens.tokenizer_json import MOST_IDS

_RANK_URL = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"


def published_ranks(encoding: str) -> bytes:
    """The rank file of a named encoding, its hash checked."""
    known = ENCODINGS[encoding]
    content = None
    package = find_spec("bpe_openai")
    if package is not None and package.submodule_search_locations:
        packed = Path(package.submodule_search_locations[0]) / "data" / f"{known.ranks}.tiktoken.gz"
        if packed.is_file():
            content, found = gzip.decompress(packed.read_bytes()), packed
    if content is None:
        url = _RANK_URL.format(known.ranks)
        found = _tiktoken_cache() / hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()
        if not found.is_file():
            raise FileNotFoundError(
                f"the ranks of {encoding} ({known.ranks}.tiktoken) are neither in the package bpe-openai nor "
                f"in tiktoken's cache ({found}), and nothing is downloaded; give a .tiktoken file's path "
                "as tokenise.encoding, or set TIKTOKEN_CACHE_DIR to a filled cache"
            )
        content = found.read_bytes()
    actual = hashlib.sha256(content).hexdigest()
    if actual != known.sha256:
        raise ValueError(
            f"{found}: sha256 is {actual}, {known.sha256} was published for {known.ranks}.tiktoken; replace the file"
        )
    return content


def _tiktoken_cache() -> Path:
    """The folder where tiktoken keeps what it downloaded (source: tiktoken/load.py)."""
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if os.environ.get(variable):
            return Path(os.environ[variable])
    return Path(tempfile.gettempdir()) / "data-gym-cache"


def content_of(path: Path) -> bytes:
    """A file of a vocabulary.

    Raises:
        ValueError: it stands for one that was not fetched.
    """
    content = path.read_bytes()
    if content.startswith(GIT_LFS):
        raise ValueError(f"{path} is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`")
    return content


def parse_ranks(content: bytes, source: str) -> dict[bytes, int]:
    """Lines of ``base64(token) rank``."""
    try:
        words = content.split()
        ranks = dict(zip(map(binascii.a2b_base64, words[::2]), map(int, words[1::2]), strict=True))
    except (ValueError, binascii.Error) as error:
        raise ValueError(f"{source} must hold lines of 'base64 rank' (a .tiktoken file): {error}") from error
    outside = next((rank for rank in ranks.values() if not 0 <= rank < MOST_IDS), None)
    if outside is not None:
        raise ValueError(f"{source}: rank {outside}; ranks must be from 0 to {MOST_IDS - 1:,}")
    if len(set(ranks.values())) < len(words) // 2:
        raise ValueError(f"{source}: a token or a rank stands in it twice, so that ids would not tell tokens apart")
    missing = [value for value in range(256) if bytes([value]) not in ranks]
    if missing:
        raise ValueError(
            f"{source}: {len(missing)} single bytes have no rank (first: {missing[0]}); not every text could be encoded"
        )
    return ranks
