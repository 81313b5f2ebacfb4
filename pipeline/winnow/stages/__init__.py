"""One file a stage: plan(units) and run(unit); the only place where kernels meet storage."""
