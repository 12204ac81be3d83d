"""Source to workload: from a recording, a log or a trace."""
