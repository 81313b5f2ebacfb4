"""``croissant.json``: files of a data set in the vocabulary of MLCommons Croissant 1.0, with checksums, and what a
record of its Parquet shards is. It lies beside what it describes, so that a copy of the folder is described, too.

Source: https://docs.mlcommons.org/croissant/docs/croissant-spec.html.
"""

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

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
_PARQUET = "application/x-parquet"
_KINDS = {".parquet": _PARQUET, ".json": "application/json", ".zst": "application/zstd"}


_MEANINGS = {
    "input_ids": "Ids of tokens: inputs are all but the last, targets all but the first.",
    "doc_lens": "Lengths of the document pieces in the row, ends included; the rest of the row is padding.",
    "position_ids": "Position of each token in its document piece.",
    "attention_mask": "1 on tokens, 0 on padding.",
    "loss_mask": "1 on what is to be learned.",
    "token_type_ids": "1 on the second text of a pair.",
    "label": "Number of the document's label; names are in manifest.json.",
    "docs": "The document of each piece: its number, which begins with that of its file (32 bits).",
    "doc_starts": "Tokens of that document before the piece.",
}


def croissant(
    files: Iterable[tuple[str, int, str]],
    manifest: Json,
    name: str,
    url: str,
    schema: pa.Schema | None,
    more: str,
    folder: str = "",
) -> bytes:
    """The description of a shard set and what belongs to it.

    Args:
        files: path beside the description, bytes and SHA-256 of each.
        manifest: of the shard set.
        name: of the data set.
        url: where it is to be found; "" for nowhere yet.
        schema: of its Parquet shards; None where there are none.
        more: where else to read about it.
        folder: of the shards beside the description, with a slash; "" where they lie beside it.
    """
    sources = manifest["sources"]
    splits = manifest["shards"]["splits"]
    tokens = sum(split["tokens"] for split in splits.values())
    read = [] if schema is None else [name for name, split in splits.items() if split["rows"]]
    content = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": f"{_CR}1.0",
        "name": name,
        "description": f"{tokens:,} tokens in shards, made by Winnow; {more}.",
        "license": sorted({source["licence"] or "unknown" for source in sources.values()}),
        **({"url": url} if url else {}),
        "distribution": [
            *(_file_set(split, folder) for split in read),
            *(
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
            ),
        ],
        **({"recordSet": [_records(split, schema) for split in read]} if schema is not None else {}),
    }
    return json_bytes(content)


def _file_set(split: str, folder: str) -> Json:
    """All Parquet shards of a split."""
    return {
        "@type": "cr:FileSet",
        "@id": f"{split}-shards",
        "name": f"{split}-shards",
        "description": f"The Parquet shards of split {split}, in the order of their names.",
        "encodingFormat": _PARQUET,
        "includes": f"{folder}{split}-*.parquet",
    }


def _records(split: str, schema: pa.Schema) -> Json:
    """What a row of a split is."""
    return {
        "@type": "cr:RecordSet",
        "@id": split,
        "name": split,
        "description": f"One record a training sequence of split {split}.",
        "field": list(_fields(split, schema)),
    }


def _fields(split: str, schema: pa.Schema) -> Iterator[Json]:
    for field in schema:
        is_list = pa.types.is_list(field.type) or pa.types.is_fixed_size_list(field.type)
        values = field.type.value_type if is_list else field.type
        length = f" {field.type.list_size:,} values." if pa.types.is_fixed_size_list(field.type) else ""
        yield {
            "@type": "cr:Field",
            "@id": f"{split}/{field.name}",
            "name": field.name,
            "description": f"{_MEANINGS.get(field.name, 'A column of the shards.')}{length}",
            "dataType": f"cr:{str(values).replace('u', 'U', 1).replace('int', 'Int')}",
            **({"repeated": True} if is_list else {}),
            "source": {"fileSet": {"@id": f"{split}-shards"}, "extract": {"column": field.name}},
        }


def schema_of(run: RunRecords) -> pa.Schema | None:
    """Of the Parquet shards of a run; None where it has none."""
    for splits in described_formats(run.manifest["shards"]).values():
        for described in splits.values():
            for shard in described["shards"]:
                if shard["path"].endswith(".parquet"):
                    path = f"{run.shards}/{shard['path']}"
                    return pq.read_schema(run.store.columns_of(path), **run.store.decryption(path))
    return None


def _of_run(run: RunRecords) -> bytes:
    """Of the shards of a run."""
    manifest = run.manifest
    files = [
        (file["path"], file["bytes"], file["sha256"])
        for splits in described_formats(manifest["shards"]).values()
        for described in splits.values()
        for file in files_of(described)
    ]
    more = "reports/datasheet.md of the run says more"
    return croissant(files, manifest, last_part(run.config.run) or "run", "", schema_of(run), more)


REPORT = Report("croissant", "croissant.json", _of_run, lambda config: config.report, lambda run: run.shards)
