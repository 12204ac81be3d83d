"""Who asks for what, how often, how long it takes; every draw."""
