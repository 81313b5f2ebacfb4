"""Who does the units: Ray Data, GPU actors, or this process."""
