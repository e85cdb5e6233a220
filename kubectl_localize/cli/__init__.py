"""The command line: what a user types, what Tab offers, and what is shown."""
