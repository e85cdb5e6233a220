"""Whether a shell's programs would ask a proxy for Services."""

from __future__ import annotations

import pytest

from kubectl_localize.cli.proxies import is_excepted, proxy_warning


@pytest.mark.parametrize(
    ("no_proxy", "excepted"),
    [
        ("", False),
        ("*", True),
        ("shop", True),
        (".shop", True),
        ("*.shop", True),
        ("localhost, .Shop ,127.0.0.1", True),
        ("localhost .shop", True),
        ("web.shop", True),
        ("workshop", False),
        ("hop", False),
        (".", False),
        ("*.", False),
        ("web.shop.example", False),
        ("127.0.0.0/8", False),
    ],
)
def test_what_no_proxy_names(no_proxy: str, excepted: bool) -> None:
    assert is_excepted("web.shop", no_proxy) == excepted


def test_a_shell_with_a_proxy_is_told_the_line_that_helps() -> None:
    environ = {"http_proxy": "http://proxy:3128", "NO_PROXY": "localhost"}
    said = proxy_warning(environ, ["shop", "billing"], "cluster.local")
    assert said == (
        "http_proxy is set, so programs ask that proxy for Services unless NO_PROXY has their namespaces:"
        " `export NO_PROXY=localhost,.shop,.billing,.svc.cluster.local"
        " no_proxy=localhost,.shop,.billing,.svc.cluster.local`"
    )


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"http_proxy": ""},
        {"NO_PROXY": "localhost"},
        {"HTTPS_PROXY": "x", "NO_PROXY": "*"},
        {"ALL_PROXY": "x", "no_proxy": ".shop,.svc.cluster.local"},
        {"HTTP_PROXY": "x", "NO_PROXY": ".shop,.cluster.local"},
    ],
)
def test_others_are_told_nothing(environ: dict[str, str]) -> None:
    assert proxy_warning(environ, ["shop"], "cluster.local") == ""


def test_without_names_there_is_nothing_to_say_and_many_namespaces_are_not_listed() -> None:
    assert proxy_warning({"HTTP_PROXY": "x"}, [], "cluster.local") == ""
    many = [f"ns-{number}" for number in range(9)]
    assert "export" not in proxy_warning({"HTTP_PROXY": "x"}, many, "cluster.local")
    assert "export NO_PROXY='$x'" not in proxy_warning({"HTTP_PROXY": "x", "NO_PROXY": "$x"}, ["shop"], "cluster.local")
