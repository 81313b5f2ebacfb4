"""Dumps of wikis: pages out of MediaWiki's XML, and text out of wikitext."""
