"""Tests of the matrix: what is asked for, what is counted, and what the page says."""
