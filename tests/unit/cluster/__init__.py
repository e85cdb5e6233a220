"""Unit tests of the room `cluster`."""
