"""kubectl localize: a cluster's Services on this machine, at their own names and ports."""
