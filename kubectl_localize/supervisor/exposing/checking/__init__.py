"""What is found out before anything is changed, and what follows from it."""
