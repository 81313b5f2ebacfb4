"""Start, resume, plan and watch a run."""
