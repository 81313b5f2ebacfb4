"""What a finished run's dedup is worth, measured against exact search. Reads run folders; no stage imports it."""
