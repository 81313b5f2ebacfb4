"""What all compiled code shares: string buffers, the compiler, cached arrays, sorting."""
