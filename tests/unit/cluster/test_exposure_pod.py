"""The exposure pod's manifest and its Secret, and the probe that tells whether sshd listens for the session."""

from __future__ import annotations

from typing import Any

from kubectl_localize.cluster.exposing import pod as exposure_pod
from kubectl_localize.cluster.exposing.values import ExposurePlan
from tests.unit.cluster.exposure_plan import ABOUT, FAILSAFE, SECRET, carried, plan

KEY = "ssh-ed25519 AAAAkey"


def make(given: ExposurePlan, uid: int | None = exposure_pod.UID) -> dict[str, Any]:
    return exposure_pod.pod(
        given, name="localize-cart", nonce="n0nce", secret_name=SECRET[0], secret_uid=SECRET[1], about=ABOUT, uid=uid
    )


def spec(given: ExposurePlan, uid: int | None = exposure_pod.UID) -> dict[str, Any]:
    found: dict[str, Any] = make(given, uid)["spec"]
    return found


def files(given: ExposurePlan, uid: int = exposure_pod.UID) -> dict[str, str]:
    """What is in the Secret."""
    made: dict[str, str] = exposure_pod.secret(
        given,
        name="localize-cart",
        authorized_key=KEY,
        host_private_key="PRIVATE",
        host_public_key="ssh-ed25519 AAAAhost",
        about=ABOUT,
        uid=uid,
    )["stringData"]
    return made


def test_the_pod_carries_the_plans_labels_and_says_whose_it_is() -> None:
    meta = make(plan(labels=(("app", "cart"), ("sidecar.istio.io/inject", "true"))))["metadata"]
    assert (meta["namespace"], meta["name"]) == ("shop", "localize-cart")
    assert meta["labels"] == {
        "app": "cart",
        "app.kubernetes.io/managed-by": "kubectl-localize",
        "kubectl-localize/session": "abc12",
        "sidecar.istio.io/inject": "false",
    }
    assert meta["annotations"]["kubectl-localize/owner"] == "alice"
    assert meta["annotations"]["kubectl-localize/from"] == "alice@laptop"
    assert meta["annotations"]["kubectl-localize/since"] == "2026-01-31T12:00:00Z"
    assert meta["annotations"]["kubectl-localize/undo"] == "kubectl scale …"
    assert meta["annotations"]["linkerd.io/inject"] == "disabled"


def test_the_pods_own_labels_win_over_ours_but_for_the_session() -> None:
    own = (("app", "cart"), ("app.kubernetes.io/managed-by", "Helm"), ("kubectl-localize/session", "other"))
    labels = make(plan(labels=own))["metadata"]["labels"]
    assert labels["app.kubernetes.io/managed-by"] == "Helm", "a Service or a NetworkPolicy may select by it"
    assert labels["kubectl-localize/session"] == "abc12"


def test_a_sidecar_is_refused_by_annotation_alone_if_a_service_selects_by_the_label() -> None:
    key = "sidecar.istio.io/inject"
    meta = make(plan(labels=((key, "true"),), selected_keys=frozenset({key})))["metadata"]
    assert (meta["labels"][key], meta["annotations"][key]) == ("true", "false")


def test_the_secret_is_the_pods_controller_and_blocks_nobody() -> None:
    owner = {"apiVersion": "v1", "kind": "Secret", "name": SECRET[0], "uid": SECRET[1], "controller": True}
    assert make(plan())["metadata"]["ownerReferences"] == [owner]


def test_every_container_is_restricted() -> None:
    made = spec(plan(failsafe=FAILSAFE))
    security = made["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (security["runAsUser"], security["runAsGroup"], security["fsGroup"]) == (1000, 1000, 1000)
    assert "sysctls" not in security
    assert made["automountServiceAccountToken"] is False
    assert made["enableServiceLinks"] is False
    assert [container["name"] for container in made["containers"]] == ["sshd", "failsafe"]
    assert "initContainers" not in made
    for container in made["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
        assert {"cpu", "memory"} == set(container["resources"]["limits"]) == set(container["resources"]["requests"])


def test_admission_may_choose_the_user() -> None:
    assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(spec(plan(), uid=None)["securityContext"])


def test_only_a_port_below_1024_asks_for_the_sysctl() -> None:
    wanted = [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]
    assert spec(plan(ports=(carried(1023),)))["securityContext"]["sysctls"] == wanted
    assert "sysctls" not in spec(plan(ports=(carried(1024),)))["securityContext"]


def test_named_target_ports_keep_resolving() -> None:
    ports = (carried(8080, "http", "web"), carried(9090))
    assert spec(plan(ports=ports))["containers"][0]["ports"] == [
        {"name": "http", "containerPort": 8080, "protocol": "TCP"},
        {"name": "web", "containerPort": 8080, "protocol": "TCP"},
        {"containerPort": 9090, "protocol": "TCP"},
    ]


def test_there_is_time_to_leave() -> None:
    made = spec(plan())
    sleep, seconds = made["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert sleep == "sleep"
    assert 3 <= int(seconds) < made["terminationGracePeriodSeconds"]


def test_it_may_run_where_the_replaced_pods_may_and_stands_in_for_one_of_a_statefulset() -> None:
    nodes: dict[str, Any] = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}
    template = {
        "nodeSelector": {"pool": "web"},
        "tolerations": [{"key": "web", "operator": "Exists"}],
        "priorityClassName": "high",
        "affinity": {"nodeAffinity": nodes, "podAntiAffinity": {}},
        "hostNetwork": True,
        "serviceAccountName": "cart",
    }
    made = spec(plan(template=template, hostname="cart-0", subdomain="carts", image_pull_secrets=("one", "two")))
    assert made["nodeSelector"] == template["nodeSelector"]
    assert made["tolerations"] == template["tolerations"]
    assert made["priorityClassName"] == "high"
    assert made["affinity"] == {"nodeAffinity": nodes}
    assert (made["hostname"], made["subdomain"]) == ("cart-0", "carts")
    assert made["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]
    assert not {"hostNetwork", "serviceAccountName"} & set(made)


def test_a_plain_workload_leaves_nothing_of_that_behind() -> None:
    absent = {"nodeSelector", "tolerations", "priorityClassName", "affinity", "hostname", "imagePullSecrets"}
    assert not absent & set(spec(plan()))


def test_sshd_lets_one_key_in_and_its_ports_only() -> None:
    made = files(plan(ports=(carried(8080), carried(8443)), sshd_port=2223, heartbeat_port=2224))
    config = dict(line.split(" ", 1) for line in made["sshd_config"].splitlines())
    assert config["Port"] == "2223"
    assert config["PermitListen"] == "*:8080 *:8443 *:2224"
    assert config["PermitOpen"] == "none"
    assert config["AllowTcpForwarding"] == "remote"
    assert config["AuthenticationMethods"] == "publickey"
    assert config["AllowUsers"] == "localize"
    assert config["MaxSessions"] == "0"
    assert (config["ClientAliveInterval"], config["ClientAliveCountMax"]) == ("1", "6")
    listen = 'permitlisten="*:8080",permitlisten="*:8443",permitlisten="*:2224"'
    assert made["authorized_keys"] == f"restrict,port-forwarding,{listen} {KEY}\n"
    assert made["host_key"] == "PRIVATE"


def test_the_user_has_a_name_whatever_its_number() -> None:
    lines = files(plan(), uid=12345)["passwd"].splitlines()
    assert lines[0] == "localize:x:12345:12345::/:/bin/sh"
    assert {line.split(":")[0] for line in lines} >= {"root", "sshd", "nobody"}
    mounts = spec(plan())["containers"][0]["volumeMounts"]
    assert {"name": "sshd", "mountPath": "/etc/passwd", "subPath": "passwd", "readOnly": True} in mounts


def test_ready_means_that_the_supervisor_answers_through_the_session() -> None:
    made = spec(plan(heartbeat_port=2299))["containers"][0]
    assert made["readinessProbe"]["httpGet"] == {"port": 2299, "path": "/ready/n0nce"}
    assert 2299 not in {one["containerPort"] for one in made["ports"]}
