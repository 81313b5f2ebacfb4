"""The one error of the reader for data that is not as the manifest says."""


class ShardError(Exception):
    """A shard set or one of its files is missing, cut short or altered; the message says which and what to do."""
