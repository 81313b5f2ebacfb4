"""The audit stands on top: a run does not need it."""

import subprocess
import sys


def test_no_stage_imports_the_audit():
    code = (
        "import sys, winnow.runs.run, winnow.runs.plan, winnow.runs.state, winnow.finished.explain\n"
        "loaded = [m for m in sys.modules if m.startswith('winnow.audit')]; assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
