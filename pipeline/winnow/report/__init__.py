"""What happened to the data, from records alone."""
