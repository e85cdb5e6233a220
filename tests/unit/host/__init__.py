"""Unit tests of the room `host`."""
