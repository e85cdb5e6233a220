"""What an archive holds beside the packages: it unpacks them, and starts what is in them."""
