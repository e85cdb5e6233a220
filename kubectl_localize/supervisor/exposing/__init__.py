"""Exposures: a Service's traffic to a local process, step by step there, and always back again."""
