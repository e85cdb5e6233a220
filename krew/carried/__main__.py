"""Starts an archive. Every Python can read this file, so one that is too old gets as far as an error message."""

import sys

if sys.version_info < (3, 11):
    from krew.carried.older import main as older

    sys.exit(older(sys.argv))

from krew.carried.unpack import main

sys.exit(main())
