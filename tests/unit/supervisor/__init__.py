"""Unit tests of the room `supervisor`."""
