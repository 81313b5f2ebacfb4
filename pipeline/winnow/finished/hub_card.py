"""The card of a data set on a hub (``README.md``), made from the manifests alone: equal runs have equal cards."""

import re
from fnmatch import fnmatchcase

import yaml

from winnow.engine.records import Json
from winnow.finished.pushed_files import DOCUMENTS, SHARDS, RunFiles
from winnow.report.markdown import markdown_text

_LICENCES = frozenset(
    re.split(
        r"\s+",
        "apache-2.0 mit openrail bigscience-openrail-m bsl-1.0 bsd bsd-2-clause bsd-3-clause "
        "bsd-3-clause-clear cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 "
        "cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 "
        "cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl "
        "ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 "
        "lgpl-3.0 isc mpl-2.0 odc-by odbl ofl-1.1 pddl postgresql unlicense zlib unknown",
    )
)
"""Names of licences that hubs know; others are told as ``other``."""
_SIZES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
_STEPS = tuple((10 ** (3 + place), name) for place, name in enumerate(_SIZES))


def card(made: RunFiles, repository: str, version: str) -> bytes:
    """The whole card.

    Args:
        made: the run's files and manifests.
        repository: ``OWNER/NAME``.
        version: of Winnow.
    """
    header = yaml.safe_dump(_header(made, repository), sort_keys=False, allow_unicode=True, width=120)
    parts = [
        f"---\n{header}---\n",
        f"# {markdown_text(repository.partition('/')[2])}\n",
        _introduction(made, version),
        _splits(made),
        _loading(made, repository),
        _sources(made.manifest),
        _outcomes(made.manifest),
        _settings(made.manifest),
        _checksums(made),
    ]
    return "\n".join(part for part in parts if part).encode()


def split_name(name: str) -> str:
    """A split as `datasets` takes it: letters, digits and _."""
    return re.sub(r"\W", "_", name)


def configs_of(made: RunFiles) -> list[Json]:
    """What `datasets` loads: the shards if they are there as Parquet, and the clean text; nothing that is encrypted."""
    shards, found = made.manifest["shards"], []
    if "encryption" in made.manifest:
        return []
    if shards["format"] == "parquet" or "parquet" in shards.get("formats", {}):
        splits = shards["splits"] if shards["format"] == "parquet" else shards["formats"]["parquet"]
        files = [
            {"split": split_name(name), "path": [f"{SHARDS}/{shard['path']}" for shard in split["shards"]]}
            for name, split in splits.items()
        ]
        found.append({"config_name": "tokens", "default": True, "data_files": _patterns(files)})
    if made.documents:
        kind = next((kind for kind in ("parquet", "jsonl.zst") if kind in made.documents["files"]), None)
        if kind == "parquet" or (kind is not None and not found):  # `datasets` takes one kind of file for all configs
            files = [
                {"split": split_name(name), "path": [f"{DOCUMENTS}/{file['path']}" for file in entries]}
                for name, entries in made.documents["files"][kind].items()
            ]
            found.append({"config_name": "documents", "data_files": _patterns(files)})
    return found


def _patterns(splits: list[Json]) -> list[Json]:
    """One pattern a split in place of its numbered files, where it names no file of another split."""
    shown = []
    for split in splits:
        others = [path for other in splits if other is not split for path in other["path"]]
        patterns = sorted({re.sub(r"-\d+-of-\d+(\.[\w.]+)$", r"-*\1", path) for path in split["path"]})
        if len(patterns) == 1 and not any(fnmatchcase(path, patterns[0]) for path in others):
            shown.append({"split": split["split"], "path": patterns[0]})
        elif split["path"]:
            shown.append(split)
    return shown


def _header(made: RunFiles, repository: str) -> Json:
    manifest = made.manifest
    said = {source["licence"] for source in manifest["sources"].values()}
    names = sorted({_licence(licence) for licence in said})
    rows = sum(split.get("rows", 0) for split in manifest["shards"]["splits"].values())
    header: Json = {"pretty_name": repository.partition("/")[2], "license": names[0] if len(names) == 1 else names}
    languages = (manifest["config"].get("filter") or {}).get("languages")
    if isinstance(languages, list) and languages:
        header["language"] = languages
    header["size_categories"] = [_size(rows)]
    header["tags"] = ["winnow", "tokenized"]
    read = sorted({entry["repository"] for source in manifest["sources"].values() for entry in source.get("hub", [])})
    if read:
        header["source_datasets"] = read
    configs = configs_of(made)
    return header | ({"configs": configs} if configs else {})


def _licence(said: str | None) -> str:
    name = (said or "unknown").strip().lower()
    return name if name in _LICENCES else "other"


def _size(rows: int) -> str:
    if rows < _STEPS[0][0]:
        return f"n<{_STEPS[0][1]}"
    below = [name for most, name in _STEPS if rows >= most]
    return f"n>{below[-1]}" if len(below) == len(_STEPS) else f"{below[-1]}<n<{_STEPS[len(below)][1]}"


def _introduction(made: RunFiles, version: str) -> str:
    shards, vocabulary = made.manifest["shards"], made.manifest["vocabulary"]
    tokens = sum(split["tokens"] for split in shards["splits"].values())
    documents = sum(split["documents"] for split in shards["splits"].values())
    formats = ", ".join([shards["format"], *shards.get("formats", {})])
    ends = f", documents end with {markdown_text(vocabulary['ends'])}" if vocabulary.get("ends") else ""
    text = "\nThe texts themselves are in `documents/`.\n" if made.documents else ""
    return (
        f"{tokens:,} tokens of {documents:,} documents: cleaned, deduplicated, tokenised and globally shuffled by "
        f"Winnow {markdown_text(version)}.\n\n"
        f"Rows of {shards['row_tokens']:,} ids ({shards['dtype']}, `row: {markdown_text(shards['row'])}`), vocabulary "
        f"{markdown_text(vocabulary['name'])} ({vocabulary['size']:,} ids{ends}). Formats: {formats}.\n{text}"
    )


def _splits(made: RunFiles) -> str:
    shards = made.manifest["shards"]
    lines = ["## Splits\n", "| split | documents | tokens | rows | shards |", "| --- | ---: | ---: | ---: | ---: |"]
    for name, split in shards["splits"].items():
        shown = split_name(name) if split_name(name) == name else f"{name} (for `datasets`: {split_name(name)})"
        numbers = split["documents"], split["tokens"], split.get("rows", 0), len(split["shards"])
        lines.append(f"| {shown} | " + " | ".join(f"{number:,}" for number in numbers) + " |")
    return "\n".join(lines) + "\n"


def _loading(made: RunFiles, repository: str) -> str:
    configs = [config["config_name"] for config in configs_of(made)]
    shards, encryption = made.manifest["shards"], made.manifest.get("encryption")
    first = next(iter(shards["splits"]), "train")
    lines = ["## Loading\n", "```python"]
    if encryption:
        told = f"The files are encrypted by the key with id {encryption['key_id']}, which belongs into the variable "
        told += f"`{encryption['key'].removeprefix('env:')}`; `winnow decrypt FOLDER OUT` writes them in the clear.\n"
        lines.insert(1, told)
    if configs:
        lines.append("from datasets import load_dataset\n")
        lines += [
            f'{"rows" if name == "tokens" else "texts"} = load_dataset("{repository}", "{name}", '
            f'split="{split_name(first)}", streaming=True)'
            for name in configs
        ]
        lines += ["```", "", "```python"]
    if made.documents and not encryption and "documents" not in configs and "jsonl.zst" in made.documents["files"]:
        place = f"hf://datasets/{repository}/{DOCUMENTS}/{first}-*.jsonl.zst"
        lines += [f'texts = load_dataset("json", data_files="{place}", split="train")', "```", "", "```python"]
    lines += [
        "from winnow.shards import ShardDataset  # in the order of the shuffle; its state is one number\n",
        f'data = ShardDataset("hf://datasets/{repository}/{SHARDS}", "{first}", batch_size=8)',
        "```",
    ]
    return "\n".join(lines) + "\n"


def _sources(manifest: Json) -> str:
    lines = [
        "## Sources and licences\n",
        "| source | licence | weight | read | kept | tokens | from |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for name, source in manifest["sources"].items():
        outcomes = source["outcomes"]
        hubs = ", ".join(
            f"[{markdown_text(entry['repository'])}](https://huggingface.co/datasets/{entry['repository']}/tree/{entry['commit']})"
            for entry in source.get("hub", [])
        )
        lines.append(
            f"| {markdown_text(name)} | {markdown_text(source['licence'] or 'not told')} | {source['weight']:g} | "
            f"{sum(outcomes.values()):,} | {outcomes.get('kept', 0):,} | {source['tokens']:,} | {hubs} |"
        )
    return "\n".join(lines) + "\n"


def _outcomes(manifest: Json) -> str:
    books = manifest["books"]
    lines = [
        "## What became of the records\n",
        f"All {books['records']:,} records that were read are accounted for.\n",
        "| outcome | records |",
        "| --- | ---: |",
        *(f"| {markdown_text(name)} | {number:,} |" for name, number in books["outcomes"].items()),
    ]
    return "\n".join(lines) + "\n"


def _settings(manifest: Json) -> str:
    config = {name: part for name, part in manifest["config"].items() if name != "sources" and part is not None}
    text = yaml.safe_dump(config, sort_keys=True, allow_unicode=False, width=120)
    indented = "".join(f"    {line}\n" for line in text.splitlines())  # no fence that a setting could close
    return f"## Settings\n\nAll but the sources, whose settings stand in `{SHARDS}/manifest.json`.\n\n{indented}"


def _checksums(made: RunFiles) -> str:
    lines = [
        "## Checksums\n",
        f"`{SHARDS}/manifest.json` holds size and SHA-256 of every shard"
        + (f", `{DOCUMENTS}/manifest.json` of every file of clean text" if made.documents else "")
        + ". SHA-256 of the manifests:\n",
        *(f"- `{file.path}`: `{file.sha256}`" for file in made.files if not file.stored),
    ]
    return "\n".join(lines) + "\n"
