"""Tests of the demo: what it tells a newcomer to type."""
