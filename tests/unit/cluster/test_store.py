"""What the lists and watches have said so far."""

from __future__ import annotations

import asyncio

from kubectl_localize.cluster.store import Store
from kubectl_localize.cluster.watch import Listed, Put, Removed
from kubectl_localize.model import Endpoint, EndpointSlice, Service, ServiceKey
from kubectl_localize.timing import Clock, Notifier

WEB, API, OTHER = ServiceKey("shop", "web"), ServiceKey("shop", "api"), ServiceKey("try", "web")


class Stage:
    """A store, how often it has fired, and its clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.changed = Notifier()
        self.store = Store(self.changed, Clock(lambda: self.now, asyncio.sleep))
        self.services, self.slices = self.store.services, self.store.endpoint_slices


def service(key: ServiceKey) -> Service:
    return Service(key, "ClusterIP", False, True, ())


def endpoint_slice(name: str, owner: ServiceKey, *pods: str) -> EndpointSlice:
    endpoints = tuple(Endpoint(pod, 0) for pod in pods)
    return EndpointSlice(name, owner, (), endpoints, 0, len(pods), unready=("leaving",))


def test_a_service_comes_changes_and_goes() -> None:
    stage = Stage()
    stage.services.apply(Put("shop/web", service(WEB)))
    assert stage.store.service(WEB) == service(WEB)
    assert stage.store.is_dirty
    assert stage.store.take_dirty() == {WEB}
    assert stage.store.take_dirty() == set()
    stage.services.apply(Removed("shop/web"))
    assert stage.store.service(WEB) is None
    assert stage.store.take_dirty() == {WEB}
    assert stage.changed.count == 2


def test_what_is_as_it_was_is_no_change() -> None:
    stage = Stage()
    stage.services.apply(Listed("", {"shop/web": service(WEB)}))
    stage.slices.apply(Put("shop/web-1", endpoint_slice("web-1", WEB)))
    stage.store.take_dirty()
    stage.now += 5
    stage.services.apply(Listed("", {"shop/web": service(WEB)}))
    stage.slices.apply(Listed("", {"shop/web-1": endpoint_slice("web-1", WEB)}))
    stage.slices.apply(Removed("shop/nobody-knows-it"))
    assert (stage.changed.count, stage.store.is_dirty, stage.store.quiet_seconds) == (2, False, 5.0)


def test_a_list_of_one_namespace_prunes_only_there() -> None:
    stage = Stage()
    stage.services.apply(Listed("", {str(key): service(key) for key in (WEB, API, OTHER)}))
    stage.store.take_dirty()
    stage.services.apply(Listed("shop", {"shop/api": service(API)}))
    assert set(stage.store.keys()) == {API, OTHER}
    assert stage.store.take_dirty() == {WEB}
    stage.services.apply(Listed("", {}))
    assert stage.store.keys() == []


def test_slices_of_a_service_and_pruning_them() -> None:
    stage = Stage()
    first, second = endpoint_slice("web-1", WEB), endpoint_slice("web-2", WEB)
    other = endpoint_slice("web-1", OTHER)
    stage.slices.apply(Listed("", {"shop/web-1": first, "shop/web-2": second, "try/web-1": other}))
    assert stage.store.slices(WEB) == (first, second)
    assert stage.store.slices(OTHER) == (other,)
    stage.store.take_dirty()
    stage.slices.apply(Listed("try", {}))
    assert stage.store.slices(OTHER) == ()
    assert stage.store.slices(WEB) == (first, second)
    assert stage.store.take_dirty() == {OTHER}
    stage.slices.apply(Removed("shop/web-1"))
    assert stage.store.slices(WEB) == (second,)
    assert stage.store.take_dirty() == {WEB}


def test_a_slice_that_moves_to_another_service_changes_both() -> None:
    stage = Stage()
    stage.slices.apply(Put("shop/x", endpoint_slice("x", WEB)))
    stage.store.take_dirty()
    stage.slices.apply(Put("shop/x", endpoint_slice("x", API)))
    assert stage.store.slices(WEB) == ()
    assert stage.store.slices(API) == (endpoint_slice("x", API),)
    assert stage.store.take_dirty() == {WEB, API}


def test_which_pods_are_behind_services() -> None:
    stage = Stage()
    stage.slices.apply(Put("shop/web-1", endpoint_slice("web-1", WEB, "web-a", "ours")))
    stage.slices.apply(Put("shop/api-1", endpoint_slice("api-1", API, "api-a")))
    assert stage.store.ready_pods([WEB, API], without={"ours"}) == {"web-a", "api-a"}
    assert [stage.store.has_pod("shop", pod) for pod in ("web-a", "leaving", "gone")] == [True, True, False]
    assert not stage.store.has_pod("try", "web-a")
