"""What a listening socket does: accept, choose a pod, move bytes, try again where that does no harm."""
