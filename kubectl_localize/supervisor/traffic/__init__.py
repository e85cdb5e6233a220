"""What a listening socket does: accept, choose a pod, move bytes, try again if that does no harm."""
