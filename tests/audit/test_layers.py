"""The audit stands on top: a run does not need it."""

import subprocess
import sys


def test_no_stage_imports_the_audit():
    code = (
        "import sys, pipeline.run, pipeline.plan, pipeline.finished, pipeline.verify, pipeline.explain\n"
        "loaded = [m for m in sys.modules if m.startswith('pipeline.audit')]; assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
