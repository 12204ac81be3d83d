"""Predicted against observed, for recordings, testbed runs and races."""
