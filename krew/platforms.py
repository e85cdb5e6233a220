"""The platforms that a release has an archive for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Platform:
    """A platform.

    Args:
        os: Go's name for the operating system, which is Krew's as well.
        arch: Go's name for the processor.
        wheels: the platform tag of the wheels that run there.
    """

    os: str
    arch: str
    wheels: str

    @property
    def name(self) -> str:
        """Both names, as in `linux-amd64`."""
        return f"{self.os}-{self.arch}"


PLATFORMS = (
    Platform("linux", "amd64", "manylinux_2_28_x86_64"),
    Platform("linux", "arm64", "manylinux_2_28_aarch64"),
    Platform("darwin", "amd64", "macosx_10_9_x86_64"),
    Platform("darwin", "arm64", "macosx_11_0_arm64"),
)
