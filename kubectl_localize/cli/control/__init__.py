"""The command's end of the control socket."""
