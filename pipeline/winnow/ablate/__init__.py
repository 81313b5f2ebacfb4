"""Which data trains better: small models on arms of it, with several seeds each, judged on held-out text."""
