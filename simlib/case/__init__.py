"""What is compared: fields, write sites, reference, strategies; the rule notation and its one evaluator."""
