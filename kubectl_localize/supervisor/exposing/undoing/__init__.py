"""What has to be undone, by whom, and how: at the end, and after any crash."""
