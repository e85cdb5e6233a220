"""Tests of the `cli` room, without a cluster and without waiting."""
