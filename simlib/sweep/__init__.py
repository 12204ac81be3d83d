"""Many parameter sets: cells that are planned, simulated in blocks, kept, and put together. Finished work is never lost."""
