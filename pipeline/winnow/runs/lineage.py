"""OpenLineage events of a run: what it reads and writes, for the catalogue of an organisation.

The run's id in these events follows from its folder and the settings that its results depend on, so that a run that is
taken up again is the same run; the clock stands in ``eventTime`` alone. Source: OpenLineage 2-0-2,
https://openlineage.io/spec/2-0-2/OpenLineage.json, and its facets.
"""

import logging
import os
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Literal
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import orjson

from winnow.config.config import WITHOUT_RESULT, Config
from winnow.engine.records import Json, content_hash
from winnow.flow.records import RunRecords
from winnow.report.printable import printable
from winnow.shards.manifest import columns_of
from winnow.sources.wanted import addresses_of
from winnow.storage.address import is_url, last_part
from winnow.version import winnow_version

PRODUCER = "https://pypi.org/project/winnow-corpus"
API_KEY = "OPENLINEAGE_API_KEY"
_SPEC = "https://openlineage.io/spec"
log = logging.getLogger("winnow")
Kind = Literal["START", "COMPLETE", "FAIL", "ABORT"]


class Lineage:
    """Events of one attempt of a run; nothing where the config asks for none."""

    def __init__(self, config: Config, folder: str) -> None:
        self.config = config.lineage
        self.sent = self.lost = 0
        self._run = config
        self._folder = folder
        self._over = False

    @property
    def run_id(self) -> str:
        """UUID version 5: the same for the same folder and settings."""
        settings = self._run.model_dump(mode="json", exclude={*WITHOUT_RESULT})
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self._folder}#{content_hash(settings)}"))

    def start(self) -> None:
        """The run has begun: it is known what it will read."""
        self._tell("START", {}, [self._input(name) for name in self._names], [])

    def complete(self, run: RunRecords) -> None:
        """Its shard set is out."""
        if self.config is not None:
            manifest = run.manifest
            inputs = [self._input(name, run, manifest) for name in self._names]
            self._tell("COMPLETE", {}, inputs, [_output(run, manifest)])
        self._over = True

    def fail(self, message: str, *, stopped: bool = False) -> None:
        """It ended without a shard set; ``stopped`` if somebody stopped it."""
        if self._over:
            return
        facet = _facet("1-0-1/ErrorMessageRunFacet", message=message[:10_000], programmingLanguage="PYTHON")
        inputs = [self._input(name) for name in self._names]
        self._tell("ABORT" if stopped else "FAIL", {"errorMessage": facet}, inputs, [])

    @property
    def _names(self) -> list[str]:
        return [source.name for source in self._run.sources]

    def _tell(self, kind: Kind, facets: Json, inputs: list[Json], outputs: list[Json]) -> None:
        if self.config is None:
            return
        engine = _facet("1-1-1/ProcessingEngineRunFacet", version=winnow_version(), name="Winnow")
        job_type = _facet("2-0-4/JobTypeJobFacet", processingType="BATCH", integration="WINNOW", jobType="JOB")
        event = {
            "eventType": kind,
            "eventTime": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "producer": PRODUCER,
            "schemaURL": f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent",
            "run": {"runId": self.run_id, "facets": {"processing_engine": engine, **facets}},
            "job": {
                "namespace": self.config.namespace,
                "name": self.config.job or last_part(self._folder) or "run",
                "facets": {"jobType": job_type},
            },
            "inputs": inputs,
            "outputs": outputs,
        }
        content = orjson.dumps(event)
        for deliver, place in ((_append, self.config.file), (self._post, self.config.http)):
            if place is not None:
                self._deliver(deliver, place, content, kind)

    def _deliver(self, deliver: Callable[[str, bytes], None], place: str, content: bytes, kind: Kind) -> None:
        self.sent += 1
        try:
            deliver(place, content)
        except (OSError, ValueError, HTTPException) as error:  # URLError and timeouts are OSErrors
            self.lost += 1
            why = error.reason if isinstance(error, URLError) else error
            log.warning("lineage: event %s cannot be delivered to %s: %s", kind, place, printable(str(why)))

    def _post(self, place: str, content: bytes) -> None:
        assert self.config is not None
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(API_KEY):
            headers["Authorization"] = f"Bearer {key}"
        request = Request(place, content, headers, method="POST")  # noqa: S310 - http or https: the config looked
        with build_opener(_NoRedirect).open(request, timeout=self.config.timeout_seconds):
            pass

    def _input(self, name: str, run: RunRecords | None = None, manifest: Json | None = None) -> Json:
        source = next(source for source in self._run.sources if source.name == name)
        where = addresses_of(source, self._run.storage)
        facets: Json = {}
        if source.licence:
            tag = {"key": "licence", "value": source.licence, "source": "CONFIG"}
            facets["tags"] = _facet("1-0-0/TagsDatasetFacet", tags=[tag])
        dataset: Json = {**dataset_name(where[0] if where else name), "facets": facets}
        if run is not None and manifest is not None:
            files = [file for file in run.files if file.source == name]
            rows = sum(manifest["sources"][name]["outcomes"].values())
            size = sum(file.bytes for file in files)
            dataset["inputFacets"] = {
                "inputStatistics": _facet(
                    "1-0-0/InputStatisticsInputDatasetFacet", rowCount=rows, size=size, fileCount=len(files)
                )
            }
        return dataset


def _append(place: str, content: bytes) -> None:
    path = Path(place)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(content + b"\n")  # one write: events of two runs do not mix


def _output(run: RunRecords, manifest: Json) -> Json:
    splits = manifest["shards"]["splits"].values()
    files = [output for record in run.of("shards") for output in record.outputs.values()]
    fields = [{"name": name} for name in columns_of(manifest["shards"])]
    licences = sorted({source["licence"] or "unknown" for source in manifest["sources"].values()})
    tags = [{"key": "licence", "value": licence, "source": "CONFIG"} for licence in licences]
    statistics = _facet(
        "1-0-2/OutputStatisticsOutputDatasetFacet",
        rowCount=sum(split["rows"] for split in splits),
        size=sum(file.bytes for file in files),
        fileCount=len(files),
    )
    return {
        **dataset_name(run.store.location(run.shards)),
        "facets": {
            "version": _facet("1-0-1/DatasetVersionDatasetFacet", datasetVersion=last_part(run.shards)),
            "schema": _facet("1-2-0/SchemaDatasetFacet", fields=fields),
            "tags": _facet("1-0-0/TagsDatasetFacet", tags=tags),
        },
        "outputFacets": {"outputStatistics": statistics},
    }


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would carry the key to another server."""

    def redirect_request(self, *_arguments: object) -> None:
        """Follow none: the answer is an error."""


def dataset_name(place: str) -> dict[str, str]:
    """Namespace and name of a path or address, as OpenLineage names data sets."""
    if not is_url(place):
        return {"namespace": "file", "name": str(Path(place).absolute())}
    parts = urlsplit(place)
    host = parts.hostname or parts.netloc
    port = f":{parts.port}" if parts.port else ""
    return {"namespace": f"{parts.scheme}://{host}{port}", "name": parts.path.lstrip("/") or "/"}


def _facet(schema: str, **values: object) -> Json:
    name = schema.rpartition("/")[2]
    return {"_producer": PRODUCER, "_schemaURL": f"{_SPEC}/facets/{schema}.json#/$defs/{name}", **values}
