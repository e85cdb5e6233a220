"""The kubectl processes: how one lives, which there are, and who may start when."""
