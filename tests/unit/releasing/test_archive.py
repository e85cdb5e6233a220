"""What goes into an archive, and how it is packed."""

from __future__ import annotations

import io
import os
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from krew.archive import STARTER, archive, packed, program
from krew.carried.unpack import BUILD, PACKAGES
from krew.commands import BuildError
from krew.manifest import archive_name, checksums, manifest, sha256
from krew.platforms import PLATFORMS
from krew.release import Release, describe
from krew.wheels import contents, is_taken
from kubectl_localize.host import process
from tests.cluster.paths import CHECKOUT


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("psutil/__init__.py", True),
        ("psutil/_psutil_linux.abi3.so", True),
        ("yaml/_yaml.cpython-311-x86_64-linux-gnu.so", False),
        ("kubectl_localize/host/tlds.txt", True),
        ("kubectl_localize/py.typed", False),
        ("sh/__init__.pyi", False),
        ("psutil/", False),
        ("psutil-7.2.2.dist-info/METADATA", True),
        ("psutil-7.2.2.dist-info/LICENSE", True),
        ("sh-2.4.0.dist-info/licenses/LICENSE.txt", True),
        ("sh-2.4.0.dist-info/RECORD", False),
        ("argcomplete-3.7.2.data/scripts/register-python-argcomplete", False),
    ],
)
def test_what_is_taken_of_a_wheel(name: str, taken: bool) -> None:
    assert is_taken(name) is taken


def test_a_wheels_content(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "one.whl", "w") as file:
        file.writestr("one/__init__.py", "1\n")
        file.writestr("one-1.dist-info/RECORD", "")
    assert contents([tmp_path / "one.whl"]) == {"one/__init__.py": b"1\n"}


def test_the_program_carries_what_starts_it_and_names_its_build() -> None:
    executable = program("1.2.3", "linux-amd64", {"one/__init__.py": b"1\n"})
    assert executable.startswith(b"#!/usr/bin/env python3\n")
    with zipfile.ZipFile(io.BytesIO(executable)) as file:
        assert file.testzip() is None
        assert file.namelist() == sorted(file.namelist())
        assert {PACKAGES + "one/__init__.py", PACKAGES + STARTER, "__main__.py", BUILD} < set(file.namelist())
        build = file.read(BUILD).decode()
    assert re.fullmatch(r"1\.2\.3-[0-9a-f]{12} linux-amd64\n", build)
    with zipfile.ZipFile(io.BytesIO(program("1.2.3", "linux-amd64", {"one/__init__.py": b"2\n"}))) as file:
        assert file.read(BUILD).decode() != build, "other packages are unpacked to another place"


def test_the_program_finds_the_starter_that_the_archive_carries() -> None:
    assert STARTER == process.STARTER


def test_packing_depends_on_the_content_only(monkeypatch: pytest.MonkeyPatch) -> None:
    first = archive(program("1", "linux-amd64", {"one.py": b"1", "two.py": b"2"}), b"licence")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    before = os.umask(0o077)
    try:
        assert archive(program("1", "linux-amd64", {"two.py": b"2", "one.py": b"1"}), b"licence") == first
    finally:
        os.umask(before)


def test_krew_gets_regular_files_with_the_program_executable() -> None:
    with tarfile.open(fileobj=io.BytesIO(archive(b"program", b"licence"))) as tar:
        entries = {info.name: (info.isfile(), info.mode, info.uid, info.uname) for info in tar}
    assert entries == {"LICENSE": (True, 0o644, 0, ""), "kubectl-localize": (True, 0o755, 0, "")}


def test_packed_files_come_back() -> None:
    with tarfile.open(fileobj=io.BytesIO(packed([("b/c", b"x", 0o644), ("a", b"", 0o600)]))) as tar:
        assert tar.getnames() == ["a", "b/c"]
        file = tar.extractfile("b/c")
        assert file is not None
        assert file.read() == b"x"


@pytest.fixture
def archives(tmp_path: Path) -> dict[str, Path]:
    """An archive for each platform, each with another content."""
    archives = {}
    for platform in PLATFORMS:
        archives[platform.name] = tmp_path / archive_name("1.2.3", platform)
        archives[platform.name].write_text(platform.name)
    return archives


def test_the_template_is_filled_in(archives: dict[str, Path]) -> None:
    import yaml

    template = (CHECKOUT / "plugin.yaml").read_text()
    filled = yaml.safe_load(manifest(template, "1.2.3", "https://example.com/x", "http://127.0.0.1:1", archives))
    assert filled["metadata"]["name"] == "localize"
    assert filled["spec"]["version"] == "v1.2.3"
    assert filled["spec"]["homepage"] == "https://example.com/x"
    for platform in filled["spec"]["platforms"]:
        labels = platform["selector"]["matchLabels"]
        name = f"{labels['os']}-{labels['arch']}"
        assert platform["sha256"] == sha256(archives.pop(name))
        assert platform["uri"] == f"http://127.0.0.1:1/kubectl-localize-1.2.3-{name}.tar.gz"
        assert platform["bin"] == "kubectl-localize"
    assert not archives, "every platform has its entry"


def test_the_texts_fit_krew() -> None:
    import yaml

    spec = yaml.safe_load((CHECKOUT / "plugin.yaml").read_text())["spec"]
    assert len(spec["shortDescription"]) <= 50
    assert not spec["shortDescription"].endswith(".")
    for text in (spec["description"], spec["caveats"]):
        assert max(map(len, text.splitlines())) <= 80
    for said in ("Python 3.11", "sudo", "/etc/hosts", "stop --all", "rm -r ~/.kube/localize"):
        assert said in spec["caveats"]


def test_a_template_that_wants_more_is_an_error(archives: dict[str, Path]) -> None:
    with pytest.raises(BuildError, match="sha256_plan9"):
        manifest("$sha256_plan9", "1", "https://example.com", "https://example.com", archives)


@pytest.mark.parametrize(
    "repository", ["", "kubectl-localize", "git@example.com:x/y", "https://example.com/x y", "https://a/"]
)
def test_a_home_that_is_no_url_is_an_error(repository: str, tmp_path: Path) -> None:
    nothing = Release("1", tmp_path / "w", tmp_path / "s", {})
    with pytest.raises(BuildError, match="is not the URL of a repository"):
        describe(CHECKOUT, nothing, tmp_path, repository)


def test_checksums_are_for_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    line = f"{'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'}  a\n"
    assert checksums([tmp_path / "a"]) == line
