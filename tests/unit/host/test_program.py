"""How the program starts a module of its own: installed, and unpacked from an archive."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from kubectl_localize.host.program import STARTER, module_argv
from tests.cluster.paths import CHECKOUT

MODULE = "import os, sys\nprint(__name__, *sys.argv[1:], os.environ.get('PYTHONPATH', '-'))\n"


def test_installed_it_is_a_module_of_this_python() -> None:
    assert module_argv("kubectl_localize.supervisor", "5", "key")[1:] == [
        "-P", "-m", "kubectl_localize.supervisor", "5", "key"
    ]  # fmt: skip


def test_from_an_archive_it_is_found_without_the_environments_help(tmp_path: Path) -> None:
    (tmp_path / "place" / "kubectl_localize").mkdir(parents=True)
    (tmp_path / "place" / "kubectl_localize" / "__init__.py").touch()
    (tmp_path / "place" / "kubectl_localize" / "said.py").write_text(MODULE)
    (tmp_path / "place" / ".held").touch()
    shutil.copyfile(CHECKOUT / "krew" / "carried" / "start.py", tmp_path / "place" / STARTER)
    command = module_argv("kubectl_localize.said", "one", "two", package=tmp_path / "place" / "kubectl_localize")
    assert command[0] == sys.executable
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "__main__ one two -\n"
