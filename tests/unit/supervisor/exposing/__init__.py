"""The tests of exposures, without a cluster."""
