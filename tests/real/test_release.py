"""What `make dist` makes: the same bytes each time, right for every platform, and installable by pip and pipx."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from krew import release as building
from krew import sources
from krew.carried.unpack import PACKAGES
from krew.manifest import sha256
from krew.release import Release
from krew.wheels import is_taken
from kubectl_localize import __version__
from tests.cluster.commands import run
from tests.cluster.images import SYSTEM_PYTHON
from tests.cluster.paths import CHECKOUT
from tests.real.traffic import Figure
from tests.releases import DOWNLOADS, REPOSITORY, Releases

pytestmark = pytest.mark.timeout(600)  # the first test of all builds the releases, one fetches pipx

MACHINES = {  # what the first bytes of a library say that is for this platform
    "linux-amd64": ("ELF", 62),
    "linux-arm64": ("ELF", 183),
    "darwin-amd64": ("Mach-O", 0x01000007),
    "darwin-arm64": ("Mach-O", 0x0100000C),
}


@pytest.fixture(scope="module")
def release(releases: Releases) -> Release:
    """This checkout's."""
    return releases.current()


def _carried(archive: Path) -> dict[str, bytes]:
    """The packages inside, by path."""
    with tarfile.open(archive) as tar:
        content = tar.extractfile("kubectl-localize")
        assert content is not None
        with zipfile.ZipFile(io.BytesIO(content.read())) as inside:
            names = [name for name in inside.namelist() if name.startswith(PACKAGES)]
            return {name.removeprefix(PACKAGES): inside.read(name) for name in names}


def _machine(library: bytes) -> tuple[str, int]:
    if library[:4] == b"\x7fELF":
        return "ELF", struct.unpack_from("<H", library, 18)[0]
    if library[:4] == b"\xcf\xfa\xed\xfe":
        return "Mach-O", struct.unpack_from("<I", library, 4)[0]
    return "unknown", 0


def test_building_it_again_gives_the_same_bytes(release: Release, tmp_path: Path) -> None:
    again = building.build(CHECKOUT, tmp_path, DOWNLOADS)
    building.describe(CHECKOUT, again, tmp_path, REPOSITORY)
    first = {file.name: sha256(file) for file in release.wheel.parent.iterdir() if file.name != "key"}
    assert {file.name: sha256(file) for file in tmp_path.iterdir()} == first
    assert len(first) == 8, "four archives, wheel, sdist, checksums, Krew's manifest"


def test_its_version_is_everywhere(release: Release) -> None:
    assert release.version == __version__
    assert all(f"-{__version__}-" in file.name for file in (release.wheel, *release.archives.values()))
    manifest = yaml.safe_load((release.wheel.parent / "localize.yaml").read_text())
    assert manifest["spec"]["version"] == f"v{__version__}"
    (start,) = {platform["uri"].rpartition("/")[0] for platform in manifest["spec"]["platforms"]}
    assert start == f"{REPOSITORY}/releases/download/v{__version__}"


def test_the_checksums_are_right(release: Release) -> None:
    said = run("sha256sum", "--check", "--strict", "checksums.txt", cwd=release.wheel.parent)
    assert said.count(": OK\n") == 6


def test_every_platform_gets_its_own_library_and_nothing_for_one_python_only(release: Release) -> None:
    for name, archive in release.archives.items():
        carried = _carried(archive)
        libraries = [path for path in carried if path.endswith(".so")]
        assert len(libraries) == 1, libraries
        assert libraries[0].endswith(".abi3.so")
        assert _machine(carried[libraries[0]]) == MACHINES[name]
        assert not [path for path in carried if path.endswith(".pyc") or "__pycache__" in path]
        assert {"argcomplete", "h11", "psutil", "sh", "tabulate", "yaml"} < {path.split("/")[0] for path in carried}
        licences = {path.split("-")[0] for path in carried if "LICENSE" in path}
        assert licences >= {"argcomplete", "h11", "psutil", "pyyaml", "sh", "tabulate", "kubectl_localize"}
    assert set(release.archives) == set(MACHINES)


def test_an_archive_carries_what_the_wheel_installs(release: Release) -> None:
    with zipfile.ZipFile(release.wheel) as wheel:
        own = [name for name in wheel.namelist() if name.startswith("kubectl_localize/") and is_taken(name)]
        installed = {name: wheel.read(name) for name in own}
    data = ("host/tlds.txt", "cluster/exposing/failsafe.sh", "cli/completion/scripts/completion.bash")
    assert {f"kubectl_localize/{name}" for name in data} < installed.keys()
    for archive in release.archives.values():
        carried = _carried(archive)
        assert {name: carried.get(name) for name in installed} == installed


def test_the_sdist_builds_the_same_wheel(release: Release, tmp_path: Path) -> None:
    run("tar", "-xzf", release.sdist, "-C", tmp_path)
    (unpacked,) = tmp_path.iterdir()
    wheel = sources.build_wheel(unpacked, tmp_path / "out")
    assert wheel.name == release.wheel.name
    assert wheel.read_bytes() == release.wheel.read_bytes()


@pytest.fixture(scope="module")
def pipx(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """pipx of PyPI, in an environment of its own."""
    place = tmp_path_factory.mktemp("pipx")
    run(SYSTEM_PYTHON, "-m", "venv", place, timeout_seconds=120)
    run(place / "bin" / "pip", "install", "-q", "--disable-pip-version-check", "pipx", timeout_seconds=300)
    return [str(place / "bin" / "pipx")]


def test_pipx_installs_the_wheel_and_takes_it_away(
    release: Release, pipx: list[str], tmp_path: Path, figure: Figure
) -> None:
    home = {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin"), "HOME": str(tmp_path / "home")}
    environment = {"PATH": "/usr/bin:/bin", "PIPX_MAN_DIR": str(tmp_path / "man"), **home}
    (tmp_path / "home").mkdir()
    run(*pipx, "install", f"--python={SYSTEM_PYTHON}", release.wheel, env=environment, timeout_seconds=500)
    command = tmp_path / "bin" / "kubectl-localize"
    said = run(command, "version", "--client", env=environment)
    assert f"kubectl localize: {__version__}\n" in said
    assert (
        run("kubectl", "localize", "ls", "-o", "name", env={**environment, "PATH": f"{command.parent}:/usr/bin"}) == ""
    )
    figure(f"pipx {run(*pipx, '--version', env=environment).strip()} installs the wheel")
    run(*pipx, "uninstall", "kubectl-localize", env=environment)
    assert not command.exists()
    assert not (tmp_path / "pipx" / "venvs" / "kubectl-localize").exists()
