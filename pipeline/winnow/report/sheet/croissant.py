"""``croissant.json``: files of a data set in the vocabulary of MLCommons Croissant 1.0, with checksums.

Source: https://docs.mlcommons.org/croissant/docs/croissant-spec.html.
"""

from collections.abc import Iterable

from winnow.engine.records import Json
from winnow.flow.records import RunRecords
from winnow.report.reports import Report
from winnow.shards.manifest import json_bytes
from winnow.stages.shards.shard_set import described_formats, files_of
from winnow.storage.address import last_part

_SC, _CR = "https://schema.org/", "http://mlcommons.org/croissant/"
_CONTEXT: Json = {
    "@language": "en",
    "@vocab": _SC,
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": _CR,
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": _SC,
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The specification's own."""
_KINDS = {".parquet": "application/x-parquet", ".json": "application/json", ".zst": "application/zstd"}


def croissant(
    files: Iterable[tuple[str, int, str]], manifest: Json, name: str, url: str, more: str = "datasheet.md says more"
) -> bytes:
    """The description of a shard set and what belongs to it.

    Args:
        files: path beside the description, bytes and SHA-256 of each.
        manifest: of the shard set.
        name: of the data set.
        url: where it is to be found; "" for nowhere yet.
        more: where else to read about it.
    """
    sources = manifest["sources"]
    tokens = sum(split["tokens"] for split in manifest["shards"]["splits"].values())
    content = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": f"{_CR}1.0",
        "name": name,
        "description": f"{tokens:,} tokens in shards, made by Winnow; {more}.",
        "license": sorted({source["licence"] or "unknown" for source in sources.values()}),
        **({"url": url} if url else {}),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": path,
                "name": path,
                "contentUrl": path,
                "contentSize": f"{size} B",
                "encodingFormat": _KINDS.get(f".{path.rpartition('.')[2]}", "application/octet-stream"),
                "sha256": sha256,
            }
            for path, size, sha256 in files
        ],
    }
    return json_bytes(content)


def _of_run(run: RunRecords) -> bytes:
    """Of the shards of a run, which lie beside the folder ``reports``."""
    manifest = run.manifest
    files = [
        (f"../{run.shards}/{file['path']}", file["bytes"], file["sha256"])
        for splits in described_formats(manifest["shards"]).values()
        for described in splits.values()
        for file in files_of(described)
    ]
    return croissant(files, manifest, last_part(run.config.run) or "run", "")


REPORT = Report("croissant", "croissant.json", _of_run, lambda config: config.report)
