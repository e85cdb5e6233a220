"""The numbers: kubectl localize beside bare kubectl, in the same run, on the real cluster."""
