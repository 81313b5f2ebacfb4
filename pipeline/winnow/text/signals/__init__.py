"""One scan over the UTF-8 bytes: every count that rules decide by."""
