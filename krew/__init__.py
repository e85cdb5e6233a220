"""Builds what a release is made of: an archive for each platform, the wheel, the sdist, checksums, Krew's manifest."""
