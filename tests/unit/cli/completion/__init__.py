"""Tests of Tab."""
