"""Vocabularies, the tokeniser and the packing of token streams into rows."""
