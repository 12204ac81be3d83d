"""Clobbers to rates: replicates, intervals, paired differences, rates too rare to be counted."""
