"""Shard formats, one file each, and the manifest that describes a shard set."""
