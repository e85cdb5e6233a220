"""Faults and loads that take minutes: `make faults` runs them, one after the other, and `make test` leaves them out."""
