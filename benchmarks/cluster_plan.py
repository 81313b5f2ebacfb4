"""``winnow plan --cluster`` against real runs: predicted and measured seconds, bytes and files.

    python -m benchmarks.cluster_plan [CORPUS] [--scales 1 3] [--workers 2] [--runs 1] [--work FOLDER]

The runs are those of ``benchmarks.end_to_end``; the prediction is told the text's bytes and its number of documents.
"core s" sets the predicted time of all cores beside the processor time of all units: on a busy machine the better
comparison, and below 1 where waiting between units is left out of what is measured.
"""

import json
from pathlib import Path

from benchmarks.end_to_end import median_run, options_with_copies
from winnow.config.config import parse_config
from winnow.runs.estimate.cluster import Assumptions, NodeType, plan_cluster
from winnow.runs.estimate.sizes import Corpus


def main() -> None:
    """Run every scale and print predicted over measured."""
    options = options_with_copies(__doc__)
    print(f"{'':<8}{'':<12}{'predicted':>12}{'measured':>12}{'ratio':>8}")
    for scale in options.scales:
        measured = median_run(options, scale)
        run = options.work / f"run-{scale}"
        config = parse_config({"run": str(run), "sources": [{"name": "corpus", "path": "-"}]})
        text = int(measured["megabytes"] * 1e6)
        plan = plan_cluster(
            Corpus(text, text // 5, measured["documents"]),
            config,
            4,
            NodeType("this machine", options.workers, 1000.0),
            Assumptions(object_store=False, efficiency=1.0),
        )
        rows = {
            "seconds": (plan.on(1).hours * 3600, measured["seconds"]),
            "core s": (sum(plan.core_hours.values()) * 3600, sum(s["cpu_seconds"] for s in measured["stages"])),
            "MB written": (plan.sizes.written_bytes / 1e6, measured["written_mb"]),
            "files": (plan.sizes.files + plan.sizes.records, _committed_files(run)),
        }
        for name, (predicted, found) in rows.items():
            print(f"{scale}x{'':<6}{name:<12}{predicted:>12,.1f}{found:>12,.1f}{predicted / found:>8.2f}", flush=True)


def _committed_files(run: Path) -> int:
    """Records of the run's state and their outputs."""
    records = [path for paths in json.loads((run / "state.json").read_text())["records"].values() for path in paths]
    return len(records) + sum(len(json.loads((run / path).read_text())["outputs"]) for path in records)


if __name__ == "__main__":
    main()
