"""Names that may exist in public DNS: looked up once, in the background, and free if no answer comes in time."""

from __future__ import annotations

import asyncio

from kubectl_localize.supervisor.forwarding.public_names import PublicNames
from tests.unit.supervisor.loop import until


class Dns:
    """Public DNS; it fails for `broken.com` and never answers for `slow.com`."""

    def __init__(self, *names: str) -> None:
        self.asked: list[str] = []
        self._names = names

    async def exists(self, name: str) -> bool:
        """Whether a name is one of ours."""
        self.asked.append(name)
        if name == "broken.com":
            raise OSError("no resolver")
        if name == "slow.com":
            await asyncio.Event().wait()
        return name in self._names


async def test_only_what_ends_in_a_top_level_domain_is_asked_for_and_only_once() -> None:
    dns = Dns("github.com")
    names = PublicNames(dns.exists, {"com"})
    names.look_up(["github.com", "web.shop", "web.com"])
    names.look_up(["github.com"])
    assert names.pending == {"github.com", "web.com"}
    assert names.public == frozenset()
    await names.changed.wait()
    assert not names.pending
    assert names.public == {"github.com"}
    names.look_up(["github.com", "web.com"])
    assert names.pending == frozenset()
    assert sorted(dns.asked) == ["github.com", "web.com"]


async def test_a_name_without_an_answer_is_free() -> None:
    names = PublicNames(Dns("github.com").exists, {"com"}, lookup_seconds=0.01)
    names.look_up(["broken.com", "slow.com", "github.com"])
    await names.changed.wait()
    assert not names.pending
    assert names.public == {"github.com"}


async def test_look_ups_end_with_their_owner() -> None:
    dns = Dns()
    names = PublicNames(dns.exists, {"com"})
    names.look_up(["slow.com"])
    await until(lambda: dns.asked)
    await names.end()
    assert names.public == frozenset()
