"""Which items of evaluation sets a text holds."""
