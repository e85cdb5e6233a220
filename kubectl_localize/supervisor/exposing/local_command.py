"""The local process that the command line starts: what of the container's environment it gets, and when it listens."""

from __future__ import annotations

from typing import Any

from kubectl_localize.cluster.exposing import selectors
from kubectl_localize.cluster.exposing.environment import container_environment, pick_container
from kubectl_localize.cluster.exposing.environment_policy import EnvironmentChoice, choose, leading_to_mounts
from kubectl_localize.cluster.exposing.values import CarriedPort, ExposurePlan
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.blocking import in_daemon_thread
from kubectl_localize.supervisor.exposing.listening import LocalListeners, warning
from kubectl_localize.supervisor.exposing.progress import Progress
from kubectl_localize.supervisor.runtime import Runtime

OTHER_PORTS_SECONDS = 2.0  # how much later than its first port a server may open the others
ELSEWHERE_SECONDS = 2.0  # between two looks at where else it listens; to find its sockets reads much of /proc

Json = dict[str, Any]


class LocalCommand:
    """See the module.

    Args:
        progress: has the command line that starts it.
        choice: what the user has said about single variables.
    """

    def __init__(self, plan: ExposurePlan, runtime: Runtime, progress: Progress, choice: EnvironmentChoice) -> None:
        self._plan = plan
        self._runtime = runtime
        self._progress = progress
        self._choice = choice
        self._listeners = LocalListeners(runtime.system)
        self._process_group = 0
        self._before: frozenset[str] = frozenset()  # what has listened before it was started
        self._elsewhere = ""

    async def start(self) -> None:
        """Start it, with the environment of a container that it replaces.

        Raises:
            LocalizeError: the environment cannot be read, or the command could not be started.
        """
        variables = await self._variables()
        for program in await self._programs():
            self._progress.warn(f"{program} listens before the command has started, so the traffic goes there")
        self._before = self._listeners.places()
        self._process_group = await self._progress.start_command(variables)

    async def _variables(self) -> tuple[tuple[str, str], ...]:
        api, plan = self._runtime.api, self._plan
        selector = plan.switched[0].selector if plan.switched else plan.labels
        pods = await api.items("v1", "pods", plan.namespace, selectors.words(dict(selector)))
        template: Json = {"metadata": {"namespace": plan.namespace}, "spec": plan.replaced["spec"]}
        pod = pods[0] if pods else template
        container = pick_container(pod, plan.ports)
        environment = await container_environment(api, plan.namespace, pod, container)
        passed = choose(environment.variables, self._choice)
        if environment.unresolved:
            self._progress.warn(f"the container's environment lacks {', '.join(environment.unresolved)}")
        if sentence := passed.sentence():
            self._progress.warn(sentence)
        for name in passed.unknown:
            self._progress.warn(f"--env {name}: container {container['name']} has no such variable")
        if mounted := leading_to_mounts(container, passed.variables):
            self._progress.warn(f"files that are mounted in the container are not here: {', '.join(mounted)} name such")
        return passed.variables

    def listens(self) -> bool:
        """Whether something listens on at least one port of each Service that was asked for, as far as is known."""
        return not self._listeners.verdict(self._plan.ports, self._plan.services).unserved

    def listens_on_all(self) -> bool:
        """The same of all their ports."""
        return not any(self._listeners.listens(port) is False for port in self._asked)

    def not_in_time(self) -> LocalizeError:
        """The error if it does not listen."""
        silent = next((port for port in self._asked if self._listeners.listens(port) is False), self._asked[0])
        return LocalizeError(
            f"nothing listens on {silent.local}",
            self._elsewhere or "--map says where the command listens",
        )

    async def look_elsewhere(self) -> None:
        """Warn once if it listens, but for a while not where the traffic goes; until cancelled."""
        before = ""
        while not before or before != self._elsewhere:
            before = self._elsewhere
            await self._runtime.clock.sleep(ELSEWHERE_SECONDS)
            self._elsewhere = await in_daemon_thread(self._listens_elsewhere, "sockets of the command")
        self._progress.warn(self._elsewhere)

    def _listens_elsewhere(self) -> str:
        if not self._process_group:
            return ""
        return self._listeners.elsewhere(self._process_group, self._asked, self._before)

    async def tell(self) -> None:
        """Say which program gets the traffic, and which ports none does."""
        if programs := await self._programs():
            self._progress.step(f"the traffic goes to {', '.join(programs)}")
        for port in self._plan.ports:
            if self._listeners.listens(port) is False:
                self._progress.warn(warning(port))

    @property
    def _asked(self) -> list[CarriedPort]:
        return [port for port in self._plan.ports if port.asked]

    async def _programs(self) -> list[str]:
        return await in_daemon_thread(lambda: self._listeners.programs(self._asked), "programs that listen")
