"""What the lists and watches have said so far."""

from __future__ import annotations

from kubectl_localize.cluster.store import Store
from kubectl_localize.model import EndpointSlice, Service, ServiceKey

WEB, API, OTHER = ServiceKey("shop", "web"), ServiceKey("shop", "api"), ServiceKey("try", "web")


class Recorder:
    """A view, and how often it has called."""

    def __init__(self) -> None:
        self.calls = 0
        self.view = Store(self.note)

    def note(self) -> None:
        self.calls += 1

    def dirty(self) -> set[ServiceKey]:
        return self.view.take_dirty()


def service(key: ServiceKey) -> Service:
    return Service(key, "ClusterIP", False, True, ())


def endpoint_slice(name: str, owner: ServiceKey) -> EndpointSlice:
    return EndpointSlice(name, owner, (), (), 0, 0)


def test_a_service_comes_changes_and_goes() -> None:
    recorder = Recorder()
    recorder.view.put_service("shop/web", service(WEB))
    assert recorder.view.service(WEB) == service(WEB)
    assert recorder.dirty() == {WEB}
    assert recorder.dirty() == set()
    recorder.view.put_service("shop/web", None)
    assert recorder.view.service(WEB) is None
    assert recorder.dirty() == {WEB}
    assert recorder.calls == 2


def test_a_list_of_one_namespace_prunes_only_there() -> None:
    recorder = Recorder()
    recorder.view.replace_services("", {str(key): service(key) for key in (WEB, API, OTHER)})
    recorder.dirty()
    recorder.view.replace_services("shop", {"shop/api": service(API)})
    assert [recorder.view.service(key) is not None for key in (WEB, API, OTHER)] == [False, True, True]
    assert recorder.dirty() == {WEB, API}
    recorder.view.replace_services("", {})
    assert [recorder.view.service(key) for key in (WEB, API, OTHER)] == [None, None, None]


def test_slices_of_a_service_and_pruning_them() -> None:
    recorder = Recorder()
    one, two, other = endpoint_slice("web-1", WEB), endpoint_slice("web-2", WEB), endpoint_slice("web-1", OTHER)
    recorder.view.replace_slices("", {"shop/web-1": one, "shop/web-2": two, "try/web-1": other})
    assert recorder.view.slices(WEB) == (one, two)
    assert recorder.view.slices(OTHER) == (other,)
    recorder.dirty()
    recorder.view.replace_slices("try", {})
    assert recorder.view.slices(OTHER) == ()
    assert recorder.view.slices(WEB) == (one, two)
    assert recorder.dirty() == {OTHER}
    recorder.view.put_slice("shop/web-1", None)
    assert recorder.view.slices(WEB) == (two,)
    recorder.view.put_slice("shop/nobody-knows-it", None)
    assert recorder.dirty() == {WEB}


def test_a_slice_that_moves_to_another_service_changes_both() -> None:
    recorder = Recorder()
    recorder.view.put_slice("shop/x", endpoint_slice("x", WEB))
    recorder.dirty()
    recorder.view.put_slice("shop/x", endpoint_slice("x", API))
    assert recorder.view.slices(WEB) == ()
    assert recorder.view.slices(API) == (endpoint_slice("x", API),)
    assert recorder.dirty() == {WEB, API}
