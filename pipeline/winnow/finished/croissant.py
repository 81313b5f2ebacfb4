"""``croissant.json``: the files of a pushed data set in the vocabulary of MLCommons Croissant 1.0, with checksums."""

from winnow.engine.records import Json
from winnow.finished.pushed_files import RunFiles
from winnow.shards.manifest import json_bytes

_SC, _CR, _CONFORMS = "https://schema.org/", "http://mlcommons.org/croissant/", "http://purl.org/dc/terms/conformsTo"
_CONTEXT: Json = {
    "@language": "en",
    "@vocab": _SC,
    "conformsTo": _CONFORMS,
    "cr": _CR,
    "sc": _SC,
}
_KINDS = {".parquet": "application/x-parquet", ".json": "application/json", ".zst": "application/zstd"}


def croissant(made: RunFiles, repository: str) -> bytes:
    """The description of all files but the card and itself; records are described by the card's ``configs``."""
    sources = made.manifest["sources"]
    tokens = sum(split["tokens"] for split in made.manifest["shards"]["splits"].values())
    content = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": f"{_CR}1.0",
        "name": repository.partition("/")[2],
        "description": f"{tokens:,} tokens in shards, made by Winnow; README.md says from what and how.",
        "license": sorted({source["licence"] or "unknown" for source in sources.values()}),
        "url": f"https://huggingface.co/datasets/{repository}",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": file.path,
                "name": file.path,
                "contentUrl": file.path,
                "contentSize": f"{file.size} B",
                "encodingFormat": _KINDS.get(f".{file.path.rpartition('.')[2]}", "application/octet-stream"),
                "sha256": file.sha256,
            }
            for file in made.files
        ],
    }
    return json_bytes(content)
