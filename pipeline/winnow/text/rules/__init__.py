"""Published rule sets, evaluated on signals alone."""
