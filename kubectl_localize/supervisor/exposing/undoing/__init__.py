"""What is taken from the cluster for a while, by whom, and how it comes back: at the end, and after any crash."""
