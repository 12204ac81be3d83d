"""Draws to history: the SimPy model, its compiled twin, and what queueing theory says."""
