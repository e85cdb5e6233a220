"""Random inputs and random events: a small sample, the same each time, with the unit tests; many with `make fuzz`."""
