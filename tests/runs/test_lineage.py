"""OpenLineage events: those of the specification's own library, the same run each time, and no fault ends a run."""

import json
import socketserver
import threading
import uuid
from http.server import BaseHTTPRequestHandler

import pytest

from tests.support.commands import winnow
from tests.support.configs import run_config, source_of, unread_config
from tests.support.corpora import articles
from winnow.config.config import parse_config
from winnow.engine.engine import StageFailedError
from winnow.errors import ConfigError
from winnow.runs.lineage import API_KEY, Lineage, dataset_name
from winnow.runs.run import run
from winnow.runs.state import load_run


def config_of(folder, lineage, **sections) -> dict:
    if not (folder / "in.jsonl").exists():
        (folder / "in.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in articles(1, 15)))
    source = source_of(folder / "in.jsonl", licence="CC0-1.0")
    return run_config(folder / "run", source, shards={"sequence_tokens": 63}, lineage=lineage, **sections)


def events(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


FACETS = {
    "processing_engine": "processing_engine_run.ProcessingEngineRunFacet",
    "errorMessage": "error_message_run.ErrorMessageRunFacet",
    "jobType": "job_type_job.JobTypeJobFacet",
    "tags": "tags_dataset.TagsDatasetFacet",
    "version": "dataset_version_dataset.DatasetVersionDatasetFacet",
    "schema": "schema_dataset.SchemaDatasetFacet",
    "inputStatistics": "input_statistics_input_dataset.InputStatisticsInputDatasetFacet",
    "outputStatistics": "output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet",
}


def check_event(event: dict) -> None:
    """Made again by the classes that the specification's own library generates from its schema."""
    base = pytest.importorskip("openlineage.client.generated.base")

    def facets(values: dict) -> dict:
        made = {}
        for name, facet in values.items():
            module, _, kind = FACETS[name].partition(".")
            of = getattr(__import__(f"openlineage.client.generated.{module}", fromlist=[kind]), kind)
            given = {key: value for key, value in facet.items() if not key.startswith("_")}
            made[name] = of(**given, producer=facet["_producer"])
            assert facet["_schemaURL"] == made[name]._schemaURL
        return made

    def datasets(of, values: list[dict], inner: str):
        for one in values:
            more = {inner: facets(one[inner])} if inner in one else {}
            yield of(one["namespace"], one["name"], **more, facets=facets(one["facets"]))

    made = base.RunEvent(
        eventTime=event["eventTime"],
        producer=event["producer"],
        eventType=base.EventType(event["eventType"]),
        run=base.Run(event["run"]["runId"], facets(event["run"]["facets"])),
        job=base.Job(event["job"]["namespace"], event["job"]["name"], facets(event["job"]["facets"])),
        inputs=[*datasets(base.InputDataset, event["inputs"], "inputFacets")],
        outputs=[*datasets(base.OutputDataset, event["outputs"], "outputFacets")],
    )
    assert event.keys() == {f.name for f in made.__attrs_attrs__ if not f.name.startswith("_")}
    assert made.schemaURL == event["schemaURL"]


def test_a_run_that_finishes_and_one_that_does_nothing(tmp_path):
    config = config_of(tmp_path, {"file": str(tmp_path / "sub" / "events.jsonl"), "job": "nightly"})
    for _ in range(2):
        run(parse_config(config))
    told = events(tmp_path / "sub" / "events.jsonl")
    assert [event["eventType"] for event in told] == ["START", "COMPLETE"] * 2
    for event in told:
        check_event(event)
    (identity,) = {event["run"]["runId"] for event in told}
    assert uuid.UUID(identity).version == 5
    finished = load_run(str(tmp_path / "run"))
    (read,), (written,) = told[1]["inputs"], told[1]["outputs"]
    assert (read["namespace"], read["name"]) == ("file", str(tmp_path / "in.jsonl"))
    statistics = read["inputFacets"]["inputStatistics"]
    assert statistics["rowCount"] == finished.manifest["books"]["records"]
    assert statistics["size"] == (tmp_path / "in.jsonl").stat().st_size
    assert written["name"] == finished.store.location(finished.shards)
    splits = finished.manifest["shards"]["splits"].values()
    assert written["outputFacets"]["outputStatistics"]["rowCount"] == sum(split["rows"] for split in splits)
    assert written["facets"]["tags"]["tags"] == [{"key": "licence", "value": "CC0-1.0", "source": "CONFIG"}]
    assert not [key for key in ("inputFacets",) if key in told[0]["inputs"][0]]


def test_a_run_that_fails_says_so_and_is_the_same_run_when_it_goes_on(tmp_path, monkeypatch):
    config = parse_config(config_of(tmp_path, {"file": str(tmp_path / "e")}, compute={"attempts": 1}))
    with monkeypatch.context() as patch:
        patch.setattr("winnow.stages.tokenise.tokenise.run", lambda unit, workspace: 1 / 0)
        with pytest.raises(StageFailedError):
            run(config)
    run(config)
    told = events(tmp_path / "e")
    assert [event["eventType"] for event in told] == ["START", "FAIL", "START", "COMPLETE"]
    check_event(told[1])
    assert "ZeroDivisionError" in told[1]["run"]["facets"]["errorMessage"]["message"]
    assert len({event["run"]["runId"] for event in told}) == 1
    stopped = Lineage(config, "/r")
    stopped.fail("stopped", stopped=True)
    assert events(tmp_path / "e")[-1]["eventType"] == "ABORT"


def test_the_identity_is_of_folder_and_settings():
    def identity(run_folder="/r", **sections):
        return Lineage(parse_config(unread_config(**sections)), run_folder).run_id

    assert identity() == identity(compute={"workers": 3}, alarms="fail", lineage={"file": "/e"})
    assert len({identity(), identity("/s"), identity(shards={"seed": 8})}) == 3


class _Server(BaseHTTPRequestHandler):
    seen: list[tuple[str, bytes]] = []
    answer = 201

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.headers.get("Authorization", ""), body))
        self.send_response(self.answer)
        if self.answer == 302:
            self.send_header("Location", "/other")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        self.seen.append((self.headers.get("Authorization", ""), b"followed"))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def server():
    _Server.seen, _Server.answer = [], 201
    with socketserver.TCPServer(("127.0.0.1", 0), _Server) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_address[1]}/api/v1/lineage"
        listening.shutdown()


def test_events_are_posted_with_the_key_of_the_environment(server, monkeypatch):
    monkeypatch.setenv(API_KEY, "secret")
    lineage = Lineage(parse_config(unread_config(lineage={"http": server})), "/r")
    lineage.start()
    ((key, body),) = _Server.seen
    assert key == "Bearer secret" and lineage.lost == 0
    check_event(json.loads(body))
    for answer in (500, 302):  # a redirect would carry the key elsewhere
        _Server.answer = answer
        lineage.start()
    assert (lineage.sent, lineage.lost, len(_Server.seen)) == (3, 2, 3)


def test_a_receiver_that_is_gone_ends_no_run_and_is_told(tmp_path):
    both = {"http": "http://127.0.0.1:9/x", "file": str(tmp_path)}  # a folder
    (tmp_path / "c.yaml").write_text(json.dumps(config_of(tmp_path, both)))
    code, told = winnow("run", str(tmp_path / "c.yaml"))
    assert code == 0
    assert "WARNING: 4 of 4 lineage events could not be delivered" in " ".join(told.split())
    assert "event START cannot be delivered to http://127.0.0.1:9/x" in told
    assert "4 of 4 lineage events" in winnow("summary", str(tmp_path / "run"))[1]


@pytest.mark.parametrize(
    ("lineage", "match"),
    [
        ({}, "give `file`, `http` or both"),
        ({"http": "ftp://x/y"}, "expected http"),
        ({"http": "https://u:p@x/y"}, "OPENLINEAGE_API_KEY"),
        ({"file": "s3://b/x"}, "appended"),
    ],
)
def test_settings_that_cannot_be(lineage, match):
    with pytest.raises(ConfigError, match=match):
        parse_config(unread_config(lineage=lineage))


def test_names_of_data_sets():
    assert dataset_name("/a/b*.jsonl") == {"namespace": "file", "name": "/a/b*.jsonl"}
    assert dataset_name("s3://bucket/a/b") == {"namespace": "s3://bucket", "name": "a/b"}
    assert dataset_name("https://u:secret@x.test:8/a") == {"namespace": "https://x.test:8", "name": "a"}
