"""What a run will take: disk, memory, requests, nodes."""
