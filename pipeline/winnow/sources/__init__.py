"""Readers: one file a format, each from bytes on storage to Arrow batches of raw records."""
