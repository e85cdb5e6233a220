"""Tests that drive the installed `kubectl localize` on a real cluster."""
