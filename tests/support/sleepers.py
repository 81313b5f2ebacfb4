"""A stage that sleeps on a cluster, as a command: units, seconds each. It prints where each unit was done, as JSON.

With `gpus` among its settings it sleeps where GPUs are.
"""

import json
import logging
import sys
import tempfile
import time

import pyarrow as pa

from winnow.engine.config import ComputeConfig
from winnow.engine.engine import Engine
from winnow.engine.records import Unit
from winnow.engine.stage import Accelerated, Stage, Workspace
from winnow.storage.local_store import LocalStore


def sleep(unit: Unit, workspace: Workspace) -> None:
    import ray

    began = time.time()
    time.sleep(unit.inputs["seconds"])
    workspace.metadata |= {"node": ray.get_runtime_context().get_node_id(), "began": began}
    workspace.write("out.txt", lambda draft: draft.write(b"x") and 1)


def prepare(_unit: Unit, _workspace: Workspace) -> pa.Table:
    return pa.table({"n": [1]})


def on_gpu(unit: Unit, workspace: Workspace, _table: pa.Table) -> None:
    sleep(unit, workspace)


def main(count: int, seconds: float, settings: str) -> None:
    """Runs the stage with these settings of `compute`; ends with a line of JSON: seconds, and a node for each unit."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    with tempfile.TemporaryDirectory() as folder:
        compute = ComputeConfig.model_validate({"worker_memory_mb": 256} | json.loads(settings))
        units = [Unit(n, {"n": n, "seconds": seconds}, 10_000_000) for n in range(count)]
        started = time.time()
        halves = Accelerated(prepare, on_gpu) if "gpus" in compute.model_fields_set else None
        records = Engine(LocalStore(folder), compute).run(Stage("sleep", 1, {}, sleep, accelerated=halves), units)
        nodes = [record.metadata["node"] for record in records]
        began = [record.metadata["began"] - started for record in records]
        print(json.dumps({"seconds": time.time() - started, "nodes": nodes, "began": sorted(began)}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3])
