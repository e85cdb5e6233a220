"""What the demo prints to try is what the product takes, and its files are its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubectl_localize.cli.arguments import parse
from kubectl_localize.host.paths import Paths
from kubectl_localize.model import PortMap
from tests.demo.__main__ import Demo, main
from tests.demo.shop import EXPOSE, objects
from tests.environment import Environment
from tests.real.manifests import DEFAULT_IMAGE


def test_the_expose_line_is_one_that_the_product_takes_for_a_service_of_the_demo() -> None:
    args = parse(EXPOSE)
    web = next(found for found in objects("shop") if found["kind"] == "Service" and found["metadata"]["name"] == "web")
    assert args.words == ("shop/web",)
    assert args.image == DEFAULT_IMAGE, "the only one that the demo's cluster has"
    assert args.maps == (PortMap("", "", 3000, str(web["spec"]["ports"][0]["port"])),)
    assert args.program[-1] == "3000", "the local port of the map"
    assert "127.0.0.1" in args.program, "a demo serves nobody else's machine"


def test_its_state_is_beside_its_other_files_whatever_the_user_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECTL_LOCALIZE_HOME", "/somewhere/else")
    demo = Demo(Environment(Path("/var/tmp/localize-env-test")))
    assert Paths.from_env(demo.variables).root == Path("/var/tmp/localize-env-test/demo")
    assert demo.exports.items() <= demo.variables.items(), "what is printed is what it uses"


def test_ctrl_c_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_: Demo) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Demo, "up", interrupted)
    assert main(["up"]) == 130
    assert "make demo-down" in capsys.readouterr().err
