"""Everything that tests kubectl localize, and the real cluster that it is tested on."""
