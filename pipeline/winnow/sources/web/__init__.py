"""The web as a source: archives (WARC, WET, ARC), HTTP messages, and text out of HTML."""
