"""What helps against a refusal; the messages are those of Kubernetes 1.35."""

from __future__ import annotations

import pytest

from kubectl_localize.cluster.exposing.refusals import is_refusal, refused
from kubectl_localize.errors import ConflictError, ForbiddenError, InvalidError, KubectlError

POD = 'pods "localize-web-abc12" is forbidden: '
POLICY = "ValidatingAdmissionPolicy 'shop-rules' with binding 'shop-rules' denied request: "
KYVERNO = 'admission webhook "validate.kyverno.svc-fail" denied the request: policy Pod/shop/localize-web-abc12: '


@pytest.mark.parametrize(
    ("kind", "message", "hint"),
    [
        ("Pod", POD + "exceeded quota: full, requested: pods=1, used: pods=1, limited: pods=1",
         "delete something that counts there, or have the quota raised; `kubectl describe quota -n shop full` shows"),
        ("Pod", POD + "exceeded quota: full, requested: limits.memory=320Mi, used: limits.memory=64Mi, limited: …",
         "--requests and --limits ask for less; `kubectl describe quota -n shop full` shows"),
        ("Pod", POD + "exceeded quota: a.b, requested: cpu=20m,pods=1, used: cpu=1, limited: cpu=1", "--requests and"),
        ("Secret", "exceeded quota: full, requested: count/secrets=1, used: count/secrets=0, limited: count/secrets=0",
         "delete something that counts there"),
        ("Lease", "exceeded quota: full, requested: count/leases.coordination.k8s.io=1, used: x, limited: x", "delete"),
        ("Pod", POD + "failed quota: full: must specify limits.ephemeral-storage for: failsafe,sshd",
         "--limits ephemeral-storage=… says it; quota full wants it of every container"),
        ("Pod", POD + "[maximum memory usage per Container is 1Mi, but limit is 256Mi, maximum …]",
         "--requests and --limits change them; `kubectl describe limitrange -n shop` shows what admission allows"),
        ("Pod", POD + "minimum cpu usage per Pod is 1, but request is 20m", "--requests and --limits change them"),
        ("Pod", POD + "cpu max limit to request ratio per Container is 2, but provided ratio is 100.000000",
         "--requests and --limits change them"),
        ("Pod", POD + 'error looking up service account shop/nobody: serviceaccount "nobody" not found',
         "there is no ServiceAccount nobody; see `kubectl get serviceaccounts -n shop`"),
        ("Pod", 'Internal error occurred: failed calling webhook "validate.kyverno.svc-fail": connection refused',
         "admission webhook validate.kyverno.svc-fail does not answer"),
        ("Pod", POD + "unable to create new content in namespace shop because it is being terminated",
         "the namespace is being deleted"),
        ("Pod", POD + "unable to validate against any security context constraint: [provider …]", "restricted-v2"),
        ("Pod", POD + POLICY + "images of our registry only", "--image and --failsafe-image change that"),
        ("Pod", POD + POLICY + "every pod needs the label `team` and the annotation `owner`",
         "--labels, --annotations change that"),
        ("Pod", KYVERNO + "require-requests-limits: CPU and memory limits are required",
         "--requests and --limits change that"),
        ("Pod", KYVERNO + "no pods on Fridays",
         "an admission policy wants it otherwise; --image and --failsafe-image, --labels, --annotations, "),
        ("Secret", 'secrets "localize-abc12" is forbidden: ' + POLICY + "a label team is missing",
         "--labels change that"),
        ("Secret", 'secrets "localize-abc12" is forbidden: ' + POLICY + "images come from the vault only",
         "an admission policy refuses it, so ask whoever made that"),
        ("Role", POLICY + "no Roles", "--failsafe-service-account names one"),
        ("ServiceAccount", POLICY + "no accounts", "--failsafe-service-account names one"),
    ],
)  # fmt: skip
def test_the_hint_is_about_what_is_refused(kind: str, message: str, hint: str) -> None:
    error = refused(InvalidError(message), "shop", kind)
    assert isinstance(error, InvalidError)
    assert error.message == f"namespace shop does not take an exposure pod: {message}"
    assert error.hint.startswith(hint) or hint == "restricted-v2"
    assert hint in error.hint
    assert ("--image" in error.hint) is ("--image" in hint)


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        (ForbiddenError("no"), True),
        (InvalidError("no"), True),
        (KubectlError('Internal error occurred: failed calling webhook "a.b": timeout'), True),
        (KubectlError("Internal error occurred: etcd"), False),
        (ConflictError("it has changed"), False),
    ],
)
def test_what_counts_as_a_refusal(error: KubectlError, refusal: bool) -> None:
    assert is_refusal(error) is refusal
