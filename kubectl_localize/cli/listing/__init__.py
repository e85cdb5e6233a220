"""What `ls` shows: state files, their documents, tables."""
