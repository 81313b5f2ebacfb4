"""What tests share: configs, corpora, processes, servers, and plain Python's view of what a run must give."""
