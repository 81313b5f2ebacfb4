"""Removal requests to a finished run: what is asked, what is found, the new set, and the proof."""
