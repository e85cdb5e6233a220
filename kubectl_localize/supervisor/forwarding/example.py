"""What a user may try first when everything is forwarded; pure."""

from __future__ import annotations

from collections.abc import Sequence

from kubectl_localize.ls_document import ForwardItem, ForwardPort

_HTTP_PORTS = (80, 3000, 5000, 8000, 8080, 8888, 9090)
_HTTP = 80


def example_of(items: Sequence[ForwardItem], *, names_work: bool) -> str:
    """An address to try: `http://web.shop/`, or `db.shop:5432` if nothing looks like HTTP; empty if nothing listens.

    A Service with a Ready pod goes before others, HTTP before other ports, and what has no remark before what has one.

    Args:
        items: what is forwarded.
        names_work: whether names lead to the addresses, so that one can be tried.
    """
    places = [(item, port) for item in items for port in item.ports if item.address and port.local_port]
    if not places:
        return ""
    item, port = min(places, key=lambda place: (not place[0].endpoints, not _is_http(place[1]), bool(place[0].reason)))
    host = min(item.hostnames, key=len, default=item.address) if names_work else item.address
    if not _is_http(port):
        return f"{host}:{port.local_port}"
    return f"http://{host}/" if port.local_port == _HTTP else f"http://{host}:{port.local_port}/"


def _is_http(port: ForwardPort) -> bool:
    names = (port.name, str(port.target_port))
    if any(name.startswith("https") for name in names):
        return False
    return port.port in _HTTP_PORTS or port.target_port in _HTTP_PORTS or any(name.startswith("http") for name in names)
