"""Tests of the real macOS, which `make test-macos` runs there."""
