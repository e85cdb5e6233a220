"""Keys, certificates and kubeconfigs of a node, made with openssl."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.commands import run

DAYS = "30"
EC_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")  # a hundred times quicker than RSA


@dataclass(frozen=True)
class Authority:
    """A certificate authority that lives in a directory as ca.crt and ca.key."""

    directory: Path

    def create(self) -> None:
        """Make the authority and the key pair that signs service account tokens."""
        self._openssl("req", "-x509", *EC_KEY, "-days", DAYS, "-subj", "/CN=localize-node-ca", "-keyout", "ca.key",
                      "-out", "ca.crt")  # fmt: skip
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "sa.key")
        self._openssl("ec", "-in", "sa.key", "-pubout", "-out", "sa.pub")

    def issue(self, name: str, user: str, groups: tuple[str, ...] = (), alternatives: tuple[str, ...] = ()) -> None:
        """Write NAME.crt and NAME.key for a user; alternatives are written like `DNS:localhost` or `IP:10.0.0.1`."""
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={user}"
        extensions = "extendedKeyUsage=clientAuth,serverAuth\n"
        if alternatives:
            extensions += f"subjectAltName={','.join(alternatives)}\n"
        (self.directory / f"{name}.ext").write_text(extensions)
        self._openssl("req", *EC_KEY, "-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                      "-days", DAYS, "-out", f"{name}.crt", "-extfile", f"{name}.ext")  # fmt: skip

    def kubeconfig(self, name: str, server: str, context: str) -> dict[str, object]:
        """A kubeconfig for the client certificate NAME, with everything embedded, so that it may be copied anywhere."""

        def embedded(file: str) -> str:
            return base64.b64encode((self.directory / file).read_bytes()).decode()

        user = {"client-certificate-data": embedded(f"{name}.crt"), "client-key-data": embedded(f"{name}.key")}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "clusters": [
                {"name": context, "cluster": {"server": server, "certificate-authority-data": embedded("ca.crt")}}
            ],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": context, "context": {"cluster": context, "user": name}}],
        }

    def write_kubeconfig(self, name: str, server: str, context: str, path: Path) -> None:
        """Write that kubeconfig as JSON, which every YAML reader takes, for its owner's eyes only."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(self.kubeconfig(name, server, context), indent=1))

    def _openssl(self, *argv: str) -> None:
        run("openssl", *argv, cwd=self.directory)
