"""Real stores and real processes, driven by the same workload and the same rules."""
