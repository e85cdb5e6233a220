"""What commands hold of the Services that come and go, by random events: each runs exactly while wanted."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from kubectl_localize.model import Options, Selection, Service, ServiceKey, ServicePort
from kubectl_localize.supervisor.forwarding.holds import Hold, Holds
from tests.unit.fuzz.effort import effort

KEYS = [ServiceKey(namespace, name) for namespace in ("shop", "billing") for name in ("web", "api")]
PORTS = (ServicePort("http", 80, 8080),)
SELECTIONS = st.sampled_from(
    [
        Selection(),
        Selection(("shop",)),
        Selection(("billing",)),
        Selection(patterns=("web",)),
        Selection(exclude=("*/api",)),
    ]
)


class HoldsMachine(RuleBasedStateMachine):
    """Commands that start, stop and leave Services out, above a cluster that changes."""

    def __init__(self) -> None:
        super().__init__()
        self._holds = Holds()
        self._services: dict[ServiceKey, Service] = {}

    @rule(key=st.sampled_from(KEYS))
    def service_comes(self, key: ServiceKey) -> None:
        self._services[key] = Service(key, "ClusterIP", False, True, PORTS)

    @rule(key=st.sampled_from(KEYS))
    def service_goes(self, key: ServiceKey) -> None:
        self._services.pop(key, None)

    @rule(selection=SELECTIONS, active=st.booleans(), everybody=st.booleans(), seconds=st.integers(1, 60))
    def command_starts(self, selection: Selection, active: bool, everybody: bool, seconds: int) -> None:
        options = replace(Options(), allow_other_users=everybody, wait_timeout_seconds=float(seconds))
        hold = Hold(selection, "shop", options)
        hold.active = active
        self._holds.add(hold)

    @precondition(lambda self: len(self._holds) > 0)
    @rule(data=st.data())
    def command_ends(self, data: st.DataObject) -> None:
        self._holds.remove(data.draw(st.sampled_from(list(self._holds))))

    @precondition(lambda self: len(self._holds) > 0)
    @rule(data=st.data())
    def command_stays_in_background(self, data: st.DataObject) -> None:
        hold = data.draw(st.sampled_from(list(self._holds)))
        self._holds.keep_in_background(hold)
        assert hold in list(self._holds)
        assert not any(other.background and other.is_like(hold) for other in self._holds if other is not hold)

    @rule(key=st.sampled_from(KEYS))
    def service_is_stopped(self, key: ServiceKey) -> None:
        for hold in self._holds:
            hold.leave_out((str(key),))
        if key in self._services:
            assert self._holds.note(key, self._services[key]) is None

    @invariant()
    def what_is_wanted_runs_and_nothing_else(self) -> None:
        for key in KEYS:
            service = self._services.get(key)
            terms = self._holds.note(key, service)
            wanting = [hold for hold in self._holds if service and hold.active and hold.selects(service)]
            assert (terms is not None) == bool(wanting)
            assert [hold for hold in self._holds if key in hold.keys] == wanting
            if terms is not None:
                assert terms.everybody == any(hold.options.allow_other_users for hold in wanting)
                assert terms.wait_timeout_seconds == max(hold.options.wait_timeout_seconds for hold in wanting)


def test_holds_by_random_events() -> None:
    run_state_machine_as_test(HoldsMachine, settings=effort(50, 25))
