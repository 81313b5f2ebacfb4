"""The folder of bands and signatures that nightly runs share."""
