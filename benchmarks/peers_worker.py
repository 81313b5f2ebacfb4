"""The other tools' part of ``peers.py``: runs in their own environment, one process, one core.

    python peers_worker.py FOLDER

FOLDER holds ``texts.json`` (a list of texts), ``ranks.tiktoken`` and ``settings.json``; ``result.json`` is written
there. Nothing of Winnow is imported. A tool that is not installed is named in the result and skipped.
"""

import json
import platform
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

WORD = re.compile(r"\w+")


def timed(result: dict, name: str, work: Callable[[], object]) -> object:
    """Do it and note its processor seconds."""
    start = time.process_time()
    value = work()
    result["seconds"][name] = time.process_time() - start
    return value


def rules(result: dict, texts: list[str]) -> None:
    """datatrove's four filters, each on every document: kept or the reason."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )

    filters = {
        "gopher_quality": GopherQualityFilter(),
        "gopher_repetition": GopherRepetitionFilter(),
        "c4": C4QualityFilter(filter_no_terminal_punct=False),
        "fineweb": FineWebQualityFilter(),
    }
    for step in filters.values():
        step.filter(Document(text="A first call loads the splitter. " * 30, id="first", metadata={}))
    errors: Counter[str] = Counter()
    for name, step in filters.items():

        def decide(text: str, step: object = step) -> bool:
            try:
                return step.filter(Document(text=text, id="-", metadata={})) is True
            except Exception as error:  # noqa: BLE001 - a tool that fails on a document has not kept it: counted
                errors[f"{type(error).__name__}: {str(error)[:60]}"] += 1
                return False

        kept = timed(result, name, lambda decide=decide: [decide(text) for text in texts])
        result["kept"][name] = kept
    result["errors"] = dict(errors)


def stage_one(result: dict, texts: list[str], settings: dict) -> None:
    """datatrove's first step of MinHash: signatures on disk, sorted by bucket."""
    from datatrove.data import Document
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature

    config = MinhashConfig(n_grams=settings["ngram"], num_buckets=settings["bands"], hashes_per_bucket=settings["rows"])
    documents = [Document(text=text, id=str(row), metadata={}) for row, text in enumerate(texts)]
    with tempfile.TemporaryDirectory() as folder:
        step = MinhashDedupSignature(output_folder=folder, config=config)
        step.get_shingles("a first call loads the splitter")
        timed(result, "datatrove minhash", lambda: step.run(iter(documents)))


def plain_minhash(result: dict, texts: list[str], settings: dict) -> None:
    """A plain loop over datasketch: word n-grams, signatures, and the pairs that are alike."""
    import datasketch
    import xxhash

    size = settings["ngram"]

    def sign(text: str) -> datasketch.MinHash:
        words = WORD.findall(text.casefold())
        grams = {" ".join(words[at : at + size]) for at in range(max(1, len(words) - size + 1))}
        signature = datasketch.MinHash(num_perm=settings["num_perm"], hashfunc=xxhash.xxh32_intdigest)
        signature.update_batch([gram.encode("utf-8", "replace") for gram in grams])
        return signature

    signatures = timed(result, "datasketch", lambda: [sign(text) for text in texts])
    index = datasketch.MinHashLSH(num_perm=settings["num_perm"], params=(settings["bands"], settings["rows"]))
    pairs = []
    for row, signature in enumerate(signatures):
        if not texts[row]:
            continue
        others = sorted(index.query(signature))
        pairs += [[other, row] for other in others if signatures[other].jaccard(signature) >= settings["threshold"]]
        index.insert(row, signature)
    result["pairs"] = pairs


def tokenise(result: dict, texts: list[str], folder: Path, settings: dict) -> None:
    """A plain loop over tiktoken."""
    import tiktoken
    from tiktoken.load import load_tiktoken_bpe

    ranks = load_tiktoken_bpe(str(folder / "ranks.tiktoken"))
    encoding = tiktoken.Encoding("given", pat_str=settings["pattern"], mergeable_ranks=ranks, special_tokens={})
    encoding.encode_ordinary("first")
    result["tokens"] = timed(result, "tiktoken", lambda: [encoding.encode_ordinary(text) for text in texts])


def main() -> None:
    """Run every tool that is there."""
    if len(sys.argv) != 2:
        sys.exit("peers.py starts this script in the other tools' environment; run that one")
    folder = Path(sys.argv[1])
    texts = json.loads((folder / "texts.json").read_text())
    settings = json.loads((folder / "settings.json").read_text())
    result: dict = {"python": platform.python_version(), "seconds": {}, "kept": {}, "missing": [], "versions": {}}
    fixed = texts

    def fix() -> None:
        nonlocal fixed
        import ftfy

        fixed = timed(result, "ftfy", lambda: [ftfy.fix_text(text) for text in texts])
        result["texts"] = fixed

    for tool, work in (
        ("ftfy", fix),
        ("datatrove", lambda: rules(result, fixed)),
        ("datatrove", lambda: stage_one(result, fixed, settings)),
        ("datasketch", lambda: plain_minhash(result, fixed, settings)),
        ("tiktoken", lambda: tokenise(result, fixed, folder, settings)),
    ):
        try:
            work()
            result["versions"][tool] = version(tool)
        except ImportError as error:
            result["missing"].append(f"{tool}: {error}")
    (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
