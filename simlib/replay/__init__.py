"""History to clobbers: what each strategy writes on a timeline, judged against a serial execution."""
