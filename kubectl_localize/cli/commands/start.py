"""`kubectl localize`: forwards the selected Services, until Ctrl-C or in the background (`-d`)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.connection import resolve, run_paths
from kubectl_localize.cli.file_cache import FileCache
from kubectl_localize.cli.reach import connect, discard_new_state_dirs, spawn
from kubectl_localize.host.paths import Paths
from kubectl_localize.model import Options, Selection

if TYPE_CHECKING:
    from kubectl_localize.cli.start_holder import StartHolder


def run(args: Arguments) -> int:
    """Start or join the supervisor of the context; hold it until Ctrl-C unless `-d`.

    Returns:
        The exit code.

    Raises:
        LocalizeError: nothing could be started, and nothing is left behind; or as `Holder.run_request`.
    """
    forward_options = options(args)
    if args.ip_range:
        from kubectl_localize.host.addresses import validate_range  # with asyncio, which takes 40 ms to import

        validate_range(forward_options.ip_range)
    cache = FileCache(Paths.from_env(os.environ).root)
    connection = resolve(args, cache)
    paths = run_paths(connection)
    holder: StartHolder | None = None
    with discard_new_state_dirs(paths, lambda: holder is None or holder.nothing_happened):
        supervisor = None if connection.asks else connect(paths) or spawn(paths)
        # Not at the top: a supervisor that has just been spawned takes longer to start than these imports.
        from kubectl_localize.cli.start_holder import StartHolder
        from kubectl_localize.protocol import StartRequest

        holder = StartHolder(args, connection, paths, forward_options)
        request = StartRequest(connection, selection(args), forward_options, args.detach)
        try:
            return holder.run_request(request, supervisor)
        finally:
            if not holder.nothing_happened:
                cache.save()


def selection(args: Arguments) -> Selection:
    """Which Services are meant; `-A` widens over `-n`, as with kubectl."""
    return Selection(
        namespaces=() if args.all_namespaces else tuple(dict.fromkeys(args.namespaces)),
        all_namespaces=args.all_namespaces,
        label_selector=args.selector,
        skip_namespaces=args.skip_namespaces,
        patterns=args.words,
        exclude=args.exclude,
    )


def options(args: Arguments) -> Options:
    """How the forwards are to be made; a relative hosts file becomes an absolute path."""
    default = Options()
    idle, wait = args.idle_timeout, args.wait_timeout
    return Options(
        hosts=not args.no_hosts,
        hosts_file=os.path.abspath(args.hosts_file) if args.hosts_file else default.hosts_file,
        allow_other_users=args.allow_other_users,
        ip_range=args.ip_range or default.ip_range,
        cluster_domain=args.cluster_domain or default.cluster_domain,
        idle_timeout_seconds=default.idle_timeout_seconds if idle is None else idle,
        max_children=args.max_children or default.max_children,
        wait_timeout_seconds=default.wait_timeout_seconds if wait is None else wait,
    )
