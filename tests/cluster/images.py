"""Container images made from this machine's own binaries, for a node that can pull none."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import tempfile
from pathlib import Path

from tests.cluster.commands import ClusterError, run
from tests.cluster.parts import IMAGE
from tests.cluster.paths import Cache

SYSTEM_PYTHON = Path("/usr/bin/python3")
LEFT_OUT = ("__pycache__", "test", "idlelib", "tkinter", "lib2to3", "config-*", "ensurepip", "dist-packages")
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/tmp:/bin/sh\nlocalize:x:1000:1000::/tmp:/bin/sh\n"
GROUP = "root:x:0:\nnogroup:x:65534:\nlocalize:x:1000:\n"


def toolbox(cache: Cache, out: Path) -> None:
    """Write the image that every test uses: busybox, sshd and python3, idle by default, so it serves as sandbox too."""
    with tempfile.TemporaryDirectory(dir=out.parent) as directory:
        root = Path(directory)
        root.chmod(0o755)
        for name in ("bin", "etc", "tmp", "run", "www", "config"):
            (root / name).mkdir()
        (root / "tmp").chmod(0o1777)
        _add_busybox(root, cache.find("busybox"))
        _add_binary(root, cache.find("sshd"), Path("/usr/sbin/sshd"), cache)
        for binary in (Path("/usr/bin/ssh-keygen"), Path("/usr/bin/curl")):
            _add_binary(root, binary, binary, cache)
        _add_python(root, cache)
        (root / "etc/passwd").write_text(PASSWD)
        (root / "etc/group").write_text(GROUP)
        (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
        _write_archive(IMAGE, root, out, ["/bin/sleep", "2147483647"])


def _add_busybox(root: Path, busybox: Path) -> None:
    shutil.copy2(busybox, root / "bin" / "busybox")
    for applet in run(busybox, "--list").split():
        if not (root / "bin" / applet).exists():
            (root / "bin" / applet).symlink_to("busybox")


def _add_binary(root: Path, source: Path, target: Path, cache: Cache) -> None:
    """Copy a binary, and the shared libraries it loads, each to the path that it has on a machine."""
    places = [str(place) for place in cache.packages.glob("**/lib/*-linux-gnu")]
    listing = run("ldd", source, env={**os.environ, "LD_LIBRARY_PATH": ":".join(places)})
    if "not found" in listing:
        raise ClusterError(f"{source} needs libraries that this machine lacks:\n{listing}")
    _copy(root, source, target)
    for library in re.findall(r"(/\S+) \(0x", listing):
        plain = library.removeprefix(str(cache.packages))
        _copy(root, Path(library), Path(plain))


def _copy(root: Path, source: Path, target: Path) -> None:
    below = root / str(target).lstrip("/")
    below.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source.resolve(), below)


def _add_python(root: Path, cache: Cache) -> None:
    """The distribution's own Python: one that a person built has its libraries anywhere."""
    binary = SYSTEM_PYTHON.resolve()
    library = Path("/usr/lib") / binary.name
    _add_binary(root, binary, binary, cache)
    shutil.copytree(library, root / str(library).lstrip("/"), symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for extension in (library / "lib-dynload").glob("*.so"):
        _add_binary(root, extension, extension, cache)
    (root / "usr/bin/python3").symlink_to(binary.name)


def _write_archive(name: str, root: Path, out: Path, command: list[str]) -> None:
    """Write an OCI image archive of one layer."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(root, arcname=".")
    blobs: dict[str, bytes] = {}

    def put(blob: bytes, media: str) -> dict[str, object]:
        digest = "sha256:" + hashlib.sha256(blob).hexdigest()
        blobs[digest] = blob
        return {"mediaType": f"application/vnd.oci.image.{media}", "digest": digest, "size": len(blob)}

    def put_json(value: dict[str, object], media: str) -> dict[str, object]:
        return put(json.dumps(value).encode(), f"{media}+json")

    layer_ref = put(layer.getvalue(), "layer.v1.tar")
    config = put_json(_image_config(str(layer_ref["digest"]), command), "config.v1")
    manifest = put_json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config,
            "layers": [layer_ref],
        },
        "manifest.v1",
    )
    manifest["annotations"] = {"io.containerd.image.name": name}
    files = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode(),
    }
    files |= {"blobs/sha256/" + digest.partition(":")[2]: blob for digest, blob in blobs.items()}
    with tarfile.open(out, "w") as tar:
        for path, blob in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(blob)
            tar.addfile(info, io.BytesIO(blob))


def _image_config(layer_digest: str, command: list[str]) -> dict[str, object]:
    return {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
        "config": {"Entrypoint": command, "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
        "history": [{}],
    }
