"""Records with structure: conversations, pairs, labels."""
