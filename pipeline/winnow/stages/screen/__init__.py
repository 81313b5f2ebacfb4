"""Screen: operators on GPUs, on what dedup kept."""
