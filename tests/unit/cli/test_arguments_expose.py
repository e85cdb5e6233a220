"""`expose` and `restore` from the command line to what is meant by it."""

from __future__ import annotations

import pytest

from kubectl_localize.cli.arguments import Arguments, parse
from kubectl_localize.cli.commands.expose import expose_request
from kubectl_localize.errors import UsageError
from kubectl_localize.model import PodOptions, PortMap, ServiceKey
from tests.unit.cluster.samples import CONNECTION


def expose(line: str) -> Arguments:
    return parse(["expose", *line.split()])


def test_the_defaults() -> None:
    args = expose("webshop/cart")
    assert (args.command, args.words, args.program, args.failsafe) == ("expose", ("webshop/cart",), (), None)


def test_every_flag() -> None:
    args = expose(
        "cart -n webshop --map 3000 --map web=127.0.0.2:80:http -d --keep --dry-run --force --failsafe 90s"
        " --failsafe-service-account sa --image i --failsafe-image f --image-pull-secret p"
    )
    assert args == Arguments(
        command="expose",
        program=(),
        words=("cart",),
        namespaces=("webshop",),
        maps=(PortMap("", "", 3000, ""), PortMap("web", "127.0.0.2", 80, "http")),
        detach=True,
        keep=True,
        dry_run=True,
        force=True,
        failsafe=90.0,
        failsafe_service_account="sa",
        image="i",
        failsafe_image="f",
        image_pull_secret="p",
    )


def test_what_policies_want_adds_up() -> None:
    args = expose(
        "cart --requests cpu=20m,memory=8Mi --limits cpu=0 --labels team=a,env= --labels team=b --annotations a.b/c=d=e"
    )
    assert args.requests == ((("cpu", "20m"), ("memory", "8Mi")),)
    request = expose_request(args, CONNECTION, (ServiceKey("shop", "cart"),))
    assert request.pod == PodOptions(
        labels=(("team", "b"), ("env", "")),
        annotations=(("a.b/c", "d=e"),),
        requests=(("cpu", "20m"), ("memory", "8Mi")),
        limits=(("cpu", "0"),),
    )


@pytest.mark.parametrize(
    "flag", ["--requests cpu", "--requests cpu=much", "--limits nvidia.com/gpu=1", "--labels a", "--labels a=1,,b=2"]
)
def test_pairs_that_are_none_are_refused(flag: str) -> None:
    with pytest.raises(UsageError):
        expose(f"cart {flag}")


@pytest.mark.parametrize("off", ["off", "0"])
def test_the_failsafe_can_be_switched_off(off: str) -> None:
    assert expose(f"cart --failsafe {off}").failsafe == 0


def test_what_comes_after_two_dashes_is_the_command_with_its_own_flags() -> None:
    args = expose("--map 3000 webshop/cart -- npm run dev -d --stop -- x")
    assert args.program == ("npm", "run", "dev", "-d", "--stop", "--", "x")
    assert (args.words, args.detach, args.stop) == (("webshop/cart",), False, False)


def test_variables_are_named_for_a_command() -> None:
    args = expose("cart --env PATH --env=BASH_FUNC_x%% --env-exclude AWS_* -- npm start")
    assert (args.env, args.env_exclude) == (("PATH", "BASH_FUNC_x%%"), ("AWS_*",))


def test_two_dashes_that_are_a_flags_value_begin_no_command() -> None:
    with pytest.raises(UsageError):
        parse(["expose", "cart", "-n", "--", "x"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "no Service is named"),
        ("-- npm start", "no Service is named"),
        ("web cart -- npm start", "a command takes exactly one Service"),
        ("cart -d -- npm start", "-d and a command exclude each other"),
        ("cart --keep --share", "--keep and --share exclude each other"),
        ("cart --env NODE_OPTIONS", "--env and --env-exclude are about a command"),
        ("cart --env-exclude AWS_*", "--env and --env-exclude are about a command"),
        ("cart --env DEBUG=1 -- npm start", "--env takes the name of a variable"),
        ("cart/", "'cart/' is not the name of a Service"),
        ("'shop/*'", "\"'shop/*'\" is not the name of a Service"),
        ("cart --failsafe soon", "--failsafe: "),
        ("cart --map http", "--map: "),
    ],
)
def test_wrong_usage(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        expose(line)
    assert caught.value.message.startswith(message)
    assert caught.value.hint


@pytest.mark.parametrize(("line", "example"), [("", "shop/web"), ("--stop", "shop/web --stop")])
def test_who_names_no_service_is_shown_how_to(line: str, example: str) -> None:
    with pytest.raises(UsageError) as caught:
        expose(line)
    assert caught.value.hint == f"for example kubectl localize expose {example}"


def test_restore() -> None:
    args = parse(["restore", "--dry-run", "-n", "shop"])
    assert (args.command, args.dry_run, args.namespaces) == ("restore", True, ("shop",))
    with pytest.raises(UsageError):
        parse(["restore", "cart"])
