"""What is typed: flags, words and values, and the help about them."""
