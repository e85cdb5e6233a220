"""One module for each command, and what commands have in common."""
