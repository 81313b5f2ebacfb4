"""Personal data and secrets in texts: where they stand, kind by kind."""
