"""The same run on this disk and in an object store: seconds, and what the store is asked for, stage by stage.

    python -m benchmarks.object_store FOLDER [--megabytes 40]

Inputs, work and shards lie in an S3 server (moto) on the loopback interface, in a process of its own. Its answers take
a millisecond or two, less than a real store's, and its copies cost processor time that a real store's do not, so the
ratio says little about one; the requests are those of any store. Inline, one core.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

from winnow.config.config import parse_config
from winnow.engine.engine import Engine
from winnow.runs.run import run
from winnow.storage.traffic import traffic

BUCKET = "winnow-benchmark"
KINDS = ("get", "put", "head", "list", "delete", "bytes_read", "bytes_written")


def main() -> None:
    """Run all of it and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="folder with .jsonl.zst files that have a field `text`")
    parser.add_argument("--megabytes", type=float, default=40, help="of compressed input")
    arguments = parser.parse_args()
    from tests.support.objects_server import start_server

    chosen, size = [], 0
    for path in sorted(Path(arguments.folder).glob("*.jsonl.zst"), key=lambda path: path.stat().st_size):
        if size + path.stat().st_size <= arguments.megabytes * 1e6 and not path.name.startswith("raw-"):
            chosen.append(path)
            size += path.stat().st_size
    server = start_server()
    os.environ.update(server.environment)
    folder = Path(tempfile.mkdtemp(prefix="winnow-benchmark-"))
    try:
        import s3fs

        files = s3fs.S3FileSystem()
        files.mkdir(BUCKET)
        for path in chosen:
            (folder / "data").mkdir(exist_ok=True)
            shutil.copyfile(path, folder / "data" / path.name)
            files.put_file(str(path), f"{BUCKET}/data/{path.name}")
        seconds = {}
        for name, root in (("warm-up", folder), ("disk", folder), ("object store", f"s3://{BUCKET}")):
            settings = {
                "run": f"{root}/run-{name.replace(' ', '-')}",
                "sources": [{"name": "corpus", "path": f"{root}/data/*.jsonl.zst", "id": "id"}],
                "filter": {"mode": "annotate"},
                "compute": {"executor": "inline", "unit_mb": 16, "partition_mb": 16},
                "shards": {"shard_mb": 16},
                "storage": {"scratch": str(folder / "scratch")},
            }
            traffic.clear()
            began, began_cpu = time.perf_counter(), time.process_time()
            context = run(parse_config(settings))
            seconds[name] = time.perf_counter() - began, time.process_time() - began_cpu
        text = sum(record.counters["text_bytes"] for record in context.run.of("measure"))
        print(f"{size / 1e6:.1f} MB compressed, {text / 1e6:.1f} MB of text")
        for name, (wall, cpu) in seconds.items():
            print(f"{name:14}{wall:8.1f} s wall{cpu:8.1f} s CPU of this process")
        requests(context.engine, text)
    finally:
        server.stop()
        shutil.rmtree(folder)


def requests(engine: Engine, text: int) -> None:
    """Requests of the units of every stage, and of the driver between them."""
    print(f"{'stage':16}{'units':>6}" + "".join(f"{kind:>15}" for kind in KINDS))
    units: Counter[str] = Counter()
    for stage, records in engine.committed.items():
        asked: Counter[str] = Counter()
        for record in records:
            for kind in KINDS:
                asked[kind] += int(record.metrics.get(f"objects.{kind}", 0))
        units += asked
        print(f"{stage:16}{len(records):6}" + "".join(f"{asked[kind]:15,}" for kind in KINDS))
    print(f"{'between them':22}" + "".join(f"{traffic[kind] - units[kind]:15,}" for kind in KINDS))
    print(f"{'a GB of text':22}" + "".join(f"{traffic[kind] * 1e9 / text:15,.0f}" for kind in KINDS))


if __name__ == "__main__":
    main()
