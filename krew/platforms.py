"""The platforms that there is an archive for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Platform:
    """A platform, by the names that Go, and so Krew, has for it, and the tag of the wheels that run there."""

    os: str
    arch: str
    wheels: str

    @property
    def name(self) -> str:
        """`linux-amd64` and the like."""
        return f"{self.os}-{self.arch}"


PLATFORMS = (
    Platform("linux", "amd64", "manylinux_2_28_x86_64"),
    Platform("linux", "arm64", "manylinux_2_28_aarch64"),
    Platform("darwin", "amd64", "macosx_10_9_x86_64"),
    Platform("darwin", "arm64", "macosx_11_0_arm64"),
)
