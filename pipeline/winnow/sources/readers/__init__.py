"""One file format each: bytes in, Arrow batches of records out."""
