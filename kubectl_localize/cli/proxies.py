"""Whether programs here ask an HTTP proxy for the names of Services: what the environment says; pure functions."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
NAMED_AT_MOST = 5


def is_excepted(host: str, no_proxy: str) -> bool:
    """Whether `NO_PROXY` names a host.

    curl, Go, Python and Node agree on this much: entries are hosts or the ends of hosts, with or without a dot before
    them, and `*` is all. Some also know `*.shop`.
    """
    entries = [entry.strip().lower() for entry in no_proxy.replace(" ", ",").split(",")]
    ends = [entry.removeprefix("*").removeprefix(".") for entry in entries if entry and entry != "*"]
    return "*" in entries or any(host == end or host.endswith(f".{end}") for end in ends if end)


def proxy_warning(environ: Mapping[str, str], namespaces: Sequence[str], cluster_domain: str) -> str:
    """The sentence for a shell whose programs ask a proxy for Services; empty if they do not.

    Args:
        environ: the shell's.
        namespaces: those of the Services that have names here.
        cluster_domain: the end of their full names.
    """
    proxy = next((name for name in PROXIES if environ.get(name)), "")
    if not proxy:
        return ""
    no_proxy = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    ends = [*namespaces, f"svc.{cluster_domain}"]
    missing = [f".{end}" for end in ends if not is_excepted(f"name.{end}", no_proxy)]
    if not missing or not namespaces:
        return ""
    value = shlex.quote(",".join([*([no_proxy] if no_proxy else []), *missing]))
    shown = f": `export NO_PROXY={value} no_proxy={value}`" if len(missing) <= NAMED_AT_MOST else ""
    return f"{proxy} is set, so programs ask that proxy for Services unless NO_PROXY has their namespaces{shown}"
