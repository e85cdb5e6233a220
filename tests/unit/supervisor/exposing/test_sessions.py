"""Where journals are looked for, what may be said of those that were not seen, and which sessions are dead."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from kubectl_localize.cluster.exposing.journal import LEASE_SECONDS, Entry, fingerprint
from kubectl_localize.cluster.exposing.values import WorkloadRef
from kubectl_localize.errors import UnreachableError
from kubectl_localize.supervisor.exposing.sessions import (
    Judge,
    Judgement,
    Survey,
    describe_early,
    silence_left,
    survey_cluster,
    survey_namespaces,
)
from tests.unit.cluster.samples import CLOSED_PORT
from tests.unit.fakes.cluster import Cluster
from tests.unit.fakes.requests import FORBIDDEN
from tests.unit.supervisor.exposing.samples import HERE, NOW, OWNER, entry, write, write_unreadable

EVERYWHERE = "/apis/coordination.k8s.io/v1/leases"


def elsewhere(name: str) -> Entry:
    return entry(workload=WorkloadRef("apps/v1", "Deployment", name, "cart"))


def three_namespaces() -> Cluster:
    cluster = Cluster()
    for journal_entry in (entry(), elsewhere("other"), elsewhere("secret")):
        write(cluster, journal_entry)
    return cluster


def test_the_whole_cluster_where_it_may_be_listed() -> None:
    survey = asyncio.run(survey_cluster(three_namespaces().api, ["shop"]))
    assert [journal_entry.namespace for journal_entry in survey.entries] == ["other", "secret", "shop"]
    assert survey.namespaces is None


def test_else_the_namespaces_that_may_be_listed_each_once() -> None:
    cluster = three_namespaces()
    asked: list[str] = []

    def fails(now: float, method: str, path: str) -> str:
        asked.append(path)
        return FORBIDDEN if path == EVERYWHERE or "/secret/" in path else ""

    cluster.fails = fails
    survey = asyncio.run(survey_cluster(cluster.api, ["secret", "shop", "nowhere", "shop"]))
    assert [journal_entry.namespace for journal_entry in survey.entries] == ["shop"]
    assert survey.namespaces == frozenset({"shop", "nowhere"})
    assert len(asked) == 4
    assert asyncio.run(survey_namespaces(cluster.api, ["secret", "shop", "nowhere"])) == survey


def test_a_server_that_does_not_answer_is_an_error() -> None:
    cluster = three_namespaces()
    cluster.fails = lambda now, method, path: CLOSED_PORT
    for look in (survey_cluster, survey_namespaces):
        with pytest.raises(UnreachableError):
            asyncio.run(look(cluster.api, ["shop"]))


def test_a_lease_that_cannot_be_read_is_seen_all_the_same() -> None:
    cluster = three_namespaces()
    write_unreadable(cluster, entry("web", session="xyz98"))
    survey = asyncio.run(survey_cluster(cluster.api, []))
    assert {journal_entry.session for journal_entry in survey.entries} == {"abc12"}
    assert survey.unread == {"xyz98"}


def test_only_what_was_looked_for_and_not_seen_is_gone() -> None:
    survey = Survey((entry(),), frozenset({"xyz98"}), frozenset({"shop"}))
    assert survey.is_gone("none1", "shop")
    assert not survey.is_gone("none1", "secret"), "nobody has looked there"
    assert not survey.is_gone("abc12", "shop")
    assert not survey.is_gone("xyz98", "shop"), "there is something of it"
    assert Survey((), frozenset(), None).is_gone("none1", "secret"), "they have looked everywhere"


def test_what_is_in_doubt_is_said_with_what_to_do() -> None:
    survey = Survey((entry(),), frozenset({"xyz98"}), frozenset({"shop"}))
    hidden, unread = survey.doubts({"none1": "secret", "abc12": "shop", "xyz98": "shop", "gone1": "shop"})
    assert hidden.message == (
        "the exposure none1 in namespace secret may still be there: you may not list Leases there"
    )  # fmt: skip
    assert "`kubectl get leases -n secret -l kubectl-localize/session=none1 -o yaml`" in hidden.hint
    assert unread.message == (
        "the exposure xyz98 in namespace shop may still be there: this version cannot read its journal"
    )
    assert "`kubectl get leases -n shop -l kubectl-localize/session=xyz98 -o yaml`" in unread.hint


# -- which of them are dead -------------------------------------------------------------------------------------------
def nobody_lives(pid: int, started: float) -> bool:
    return False


def everybody_lives(pid: int, started: float) -> bool:
    return True


HOUR = timedelta(hours=1)
SILENT = [(0, 60.0), (LEASE_SECONDS - 1, 1.0), (LEASE_SECONDS, 0.0), (LEASE_SECONDS + HOUR.seconds, 0.0)]


def test_only_a_process_that_is_gone_is_dead() -> None:
    asked: list[tuple[int, float]] = []

    def lives(pid: int, started: float) -> bool:
        asked.append((pid, started))
        return pid == 4711

    assert Judge(HERE, lives, lambda: NOW + HOUR).seconds_until_dead([entry()]) is None, (
        "however long it has been silent"
    )
    assert Judge(HERE, lives, lambda: NOW).seconds_until_dead([entry(owner=replace(OWNER, pid=4712))]) == 0
    assert asked == [(4711, 5000.0), (4712, 5000.0)]


@pytest.mark.parametrize("foreign", [replace(OWNER, machine="another"), replace(OWNER, uid=1001)])
def test_other_machines_and_other_users_are_never_dead(foreign: object) -> None:
    assert Judge(HERE, nobody_lives, lambda: NOW + HOUR).seconds_until_dead([entry(owner=foreign)]) is None


@pytest.mark.parametrize(("silent_seconds", "left"), SILENT)
@pytest.mark.parametrize("place", ["boot pid:[2]", "another boot pid:[1]", ""])
def test_in_another_container_or_boot_or_on_a_copy_of_this_machine_silence_counts(
    place: str, silent_seconds: int, left: float
) -> None:
    there = [entry(owner=replace(OWNER, pid_namespace=place))]
    now = NOW + timedelta(seconds=silent_seconds)
    assert Judge(HERE, everybody_lives, lambda: now).seconds_until_dead(there) == left
    assert Judge(HERE, nobody_lives, lambda: now).seconds_until_dead(there) == left


@pytest.mark.parametrize(("silent_seconds", "left"), SILENT)
def test_where_boots_cannot_be_told_apart_it_has_to_be_gone_and_silent(silent_seconds: int, left: float) -> None:
    here, there = replace(HERE, pid_namespace=""), [entry(owner=replace(OWNER, pid_namespace=""))]
    now = NOW + timedelta(seconds=silent_seconds)
    assert Judge(here, everybody_lives, lambda: now).seconds_until_dead(there) is None
    assert Judge(here, nobody_lives, lambda: now).seconds_until_dead(there) == left


def test_a_session_is_as_silent_as_the_last_of_its_journals() -> None:
    later = NOW + timedelta(seconds=30)
    some = [entry(), entry("web", renewed=later)]
    assert silence_left(some, later) == LEASE_SECONDS
    assert silence_left(some, later + timedelta(seconds=LEASE_SECONDS)) == 0


def test_journals_are_judged_by_session() -> None:
    crashed = replace(OWNER, pid=4712)
    mine, mine_too = entry(owner=crashed), entry("web", owner=crashed)
    theirs = entry("db", session="xyz98", owner=replace(OWNER, machine="another"))
    before = entry("api", session="bcd34", owner=replace(OWNER, pid_namespace="another boot pid:[1]"))
    journals, ledger = [theirs, mine, before, mine_too], {"abc12": "shop"}
    dead = Judge(HERE, nobody_lives, lambda: NOW)
    assert dead.judge(journals, ledger) == Judgement(((mine, mine_too),), (), ((before,),), ((theirs,),))
    assert dead.judge(journals, {}).unrecorded == ((mine, mine_too),), "everybody who may write Leases can make these"
    alive = Judge(HERE, everybody_lives, lambda: NOW)
    assert alive.judge(journals, ledger) == Judgement((), (), ((before,),), ((theirs,), (mine, mine_too)))
    assert Judge(HERE, nobody_lives, lambda: NOW + HOUR).judge(journals, ledger).early == ()


FORGED = {
    "another workload": entry("web"),
    "another count": entry(replicas=50),
    "another kind": entry(workload=WorkloadRef("apps/v1", "StatefulSet", "shop", "cart")),
    "a selector": entry(
        workload=WorkloadRef("v1", "Service", "shop", "cart"), replicas=None, selector=(("app", "mine"),)
    ),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_journal_that_only_has_the_name_of_our_crashed_session_is_not_undone_unasked(forged: Entry) -> None:
    ours = entry()
    judge = Judge(HERE, nobody_lives, lambda: NOW)
    judgement = judge.judge([ours, forged], {"abc12": "shop"}, {"abc12": (fingerprint(ours),)})
    assert (judgement.dead, judgement.unrecorded) == (((ours,),), ((forged,),))
    mine = Judge(HERE, everybody_lives, lambda: NOW)
    assert mine.judge([forged], {"abc12": "shop"}, {"abc12": (fingerprint(ours),)}).dead == ()


def test_a_ledger_of_an_older_version_knows_sessions_only() -> None:
    judge = Judge(HERE, nobody_lives, lambda: NOW)
    assert judge.judge([entry(), entry("web")], {"abc12": "shop"}, {"abc12": ()}).dead == ((entry(), entry("web")),)


def test_where_the_user_wanted_to_be_looked_and_could_not_is_said() -> None:
    seen = Survey((), frozenset(), frozenset({"shop"}))
    assert seen.unseen(["shop"], but=[]) == []
    (unseen,) = seen.unseen(["shop", "secret"], but=[])
    assert unseen.message == "you may not list Leases in namespace secret, so it is not known what is left there"
    assert "kubectl get leases -n secret -l app.kubernetes.io/managed-by=kubectl-localize" in unseen.hint
    assert seen.unseen(["secret"], but=["secret"]) == [], "of that it has been said already"
    assert Survey((), frozenset(), None).unseen(["secret"], but=[]) == []


def test_a_search_that_could_look_nowhere_has_not_found_nothing() -> None:
    (unseen,) = Survey((), frozenset(), frozenset()).unseen([], but=[])
    assert "you may not list Leases in any namespace" in unseen.message


def test_what_this_very_process_could_not_bring_back_is_dead() -> None:
    judge = Judge(HERE, everybody_lives, lambda: NOW)
    assert judge.judge([entry()], {"abc12": "shop"}).dead == ((entry(),),)
    assert judge.judge([entry()], {}).dead == ()


def test_what_to_do_about_a_session_that_holds_what_somebody_wants() -> None:
    colleague = entry(owner=replace(OWNER, machine="another", login="bob@desk"))
    crashed = entry(owner=replace(OWNER, pid=4712))
    early = entry(owner=replace(OWNER, pid_namespace="another boot pid:[1]"))
    living = Judge(HERE, everybody_lives, lambda: NOW)
    assert (
        living.advice([colleague]) == "ask bob@desk; `kubectl localize ls --cluster` tells when --take-over may end it"
    )
    silent = Judge(HERE, everybody_lives, lambda: NOW + timedelta(minutes=10))
    assert silent.advice([colleague]) == "ask bob@desk; if that machine is gone, --take-over ends its exposure first"
    assert living.advice([entry()]) == "`kubectl localize expose --stop shop/cart` ends it"
    assert Judge(HERE, nobody_lives, lambda: NOW).advice([crashed]) == "`kubectl localize restore` undoes it"
    assert living.advice([early]) == "`kubectl localize restore` undoes it in 60 s, if it stays silent"


def test_what_is_said_of_one_that_may_not_be_undone_yet() -> None:
    words = describe_early([entry()], NOW + timedelta(seconds=18))
    assert words == (
        "not undone yet: shop/cart, exposed by ada (ada@laptop), since 2026-01-31 12:30 UTC, last seen 18 s ago, from"
        " before a restart of this machine or from a container; if it stays silent, it can be undone in 42 s"
    )
