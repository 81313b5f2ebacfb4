"""The one error of the reader for data that is not as the manifest says."""

WHAT_TO_DO = (
    "copy it again from where it was made (`winnow verify RUN` tells there which shards are whole), or remove it from "
    "the cache if it lies in one"
)
"""End of a message on a file that is not as the manifest says."""
