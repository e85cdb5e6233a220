"""Which of a container's variables a local command gets."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_localize.cluster.exposing.environment_policy import (
    CONTAINER,
    MACHINE,
    RULES,
    RUNS,
    EnvironmentChoice,
    choose,
    leading_to_mounts,
    reason,
)

# What containers' environments have, by the reason that it stays there.
AWAY = {
    MACHINE: "PATH HOME PWD SHELL USER LOGNAME TERM TMPDIR XDG_RUNTIME_DIR SSH_AUTH_SOCK DBUS_SESSION_BUS_ADDRESS",
    CONTAINER: """
        PYTHONHOME JAVA_HOME SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE NODE_EXTRA_CA_CERTS GOROOT GOPATH GEM_HOME
        BUNDLE_GEMFILE VIRTUAL_ENV CONDA_PREFIX NODE_PATH CLASSPATH DOTNET_ROOT CARGO_HOME TZDIR LOCALDOMAIN
        AWS_WEB_IDENTITY_TOKEN_FILE AZURE_FEDERATED_TOKEN_FILE GOOGLE_APPLICATION_CREDENTIALS KUBERNETES_SERVICE_HOST
        DOCKER_HOST HTTP_PROXY no_proxy OPENSSL_CONF ORACLE_HOME PHPRC JAVA_17_HOME NVM_DIR QML2_IMPORT_PATH
        PGSSLROOTCERT PGSSLKEY PGPASSFILE PGSERVICEFILE PGSYSCONFDIR
        """,
    RUNS: """
        BASH_ENV BASH_FUNC_x%% BASH_FUNC_ls() LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT DYLD_INSERT_LIBRARIES NODE_OPTIONS
        PERL5OPT PERL5LIB PYTHONPATH PYTHONSTARTUP PYTHONWARNINGS PYTHONBREAKPOINT GIT_SSH_COMMAND GIT_CONFIG_COUNT
        GIT_CONFIG_KEY_0 KUBECONFIG KUBECTL_EXTERNAL_DIFF KUBECTL_LOCALIZE_HOME RUBYOPT JAVA_TOOL_OPTIONS _JAVA_OPTIONS
        JDK_JAVA_OPTIONS JAVA_OPTS MAVEN_OPTS GRADLE_OPTS DOTNET_STARTUP_HOOKS CORECLR_PROFILER
        ASPNETCORE_HOSTINGSTARTUPASSEMBLIES GOFLAGS RUSTC_WRAPPER RUSTFLAGS CARGO_BUILD_RUSTC ERL_FLAGS
        ELIXIR_ERL_OPTIONS LUA_INIT_5_4 R_PROFILE_USER GCONV_PATH GLIBC_TUNABLES PROMPT_COMMAND PS4 IFS SHELLOPTS
        ZDOTDIR EDITOR PAGER LESSOPEN BROWSER SSH_ASKPASS RSYNC_RSH MAKEFLAGS TAR_OPTIONS PIP_INDEX_URL
        npm_config_prefix NPM_CONFIG_SCRIPT_SHELL YARN_RC_FILENAME CC HELM_PLUGINS ANSIBLE_CONFIG VIMINIT
        PSQLRC PSQL_PAGER GCC_EXEC_PREFIX COMPILER_PATH COVERAGE_PROCESS_START
        """,
}
PASSED = """
    PORT HOST HOSTNAME DATABASE_URL REDIS_HOST NODE_ENV RAILS_ENV RACK_ENV MIX_ENV FLASK_APP DJANGO_SETTINGS_MODULE
    ASPNETCORE_ENVIRONMENT ASPNETCORE_URLS SPRING_PROFILES_ACTIVE PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE GOMAXPROCS
    GOMEMLIMIT GODEBUG GOGC RUST_LOG RUST_BACKTRACE LANG LC_ALL TZ DEBUG LOG_LEVEL AWS_REGION AWS_ACCESS_KEY_ID
    GIT_COMMIT GIT_SHA OTEL_SERVICE_NAME POD_NAME POD_IP APP_HOME SERVER_PORT USERNAME PASSWORD API_TOKEN JAVA_VERSION
    NODE_VERSION WEB_SERVICE_HOST PGHOST PGUSER PGPASSWORD PGSSLMODE HELM_RELEASE KAFKA_OPTS
    UVICORN_WORKERS GUNICORN_CMD_ARGS
    """


@pytest.mark.parametrize(("why", "name"), [(why, name) for why, names in AWAY.items() for name in names.split()])
def test_what_describes_or_runs_in_the_container_stays_there(why: str, name: str) -> None:
    assert reason(name, "x") == why


@pytest.mark.parametrize("name", PASSED.split())
def test_what_the_program_is_about_is_passed_on(name: str) -> None:
    assert reason(name, "x") == ""


@pytest.mark.parametrize(
    ("value", "why"),
    [("production", ""), ("dev-2", ""), ("", RUNS), ("/etc/profile", RUNS), ("$(id)", RUNS), ("~/rc", RUNS)],
)
def test_a_word_in_env_names_no_file_of_a_shell(value: str, why: str) -> None:
    assert reason("ENV", value) == why


def test_what_no_environment_can_hold_and_what_old_shells_run() -> None:
    assert reason("GREETING", "() { :; }; echo") == RUNS
    assert reason("A=B", "x") == reason("", "x") == RUNS


def test_no_name_stands_in_two_rules() -> None:
    names = [name for rule in RULES for name in rule.names]
    assert sorted(set(names)) == sorted(names)


def test_one_line_names_what_stays_away() -> None:
    passed = choose(
        [("PORT", "1"), ("NODE_OPTIONS", "-r x"), ("JAVA_HOME", "/j"), ("BASH_ENV", "x")], EnvironmentChoice()
    )
    assert passed.variables == (("PORT", "1"),)
    assert passed.sentence() == (
        f"not taken from the container: BASH_ENV, NODE_OPTIONS ({RUNS}); JAVA_HOME ({CONTAINER});"
        " --env NAME takes one all the same"
    )
    assert choose([("PORT", "1")], EnvironmentChoice()).sentence() == ""


def test_the_line_stays_a_line_whatever_the_cluster_sends() -> None:
    variables = [("LD_" + "X" * 100_000, ""), *((f"LD_{number:03}", "") for number in range(100))]
    sentence = choose(variables, EnvironmentChoice()).sentence()
    assert len(sentence) < 400
    assert "LD_000, LD_001" in sentence
    assert " and 81 more (" in sentence


def test_the_user_decides_otherwise() -> None:
    variables = [("PORT", "1"), ("AWS_REGION", "eu"), ("AWS_KEY", "k"), ("NODE_OPTIONS", "x"), ("PATH", "/bin")]
    choice = EnvironmentChoice(("NODE_OPTIONS", "PATH", "AWS_KEY", "NODE_OPTION"), ("AWS_*", "NODE_*"))
    passed = choose(variables, choice)
    assert dict(passed.variables) == {"PORT": "1", "AWS_KEY": "k", "NODE_OPTIONS": "x", "PATH": "/bin"}
    assert (passed.sentence(), passed.unknown) == ("", ("NODE_OPTION",))


@pytest.mark.parametrize(
    ("value", "leads"),
    [("/etc/app", True), ("/etc/app/x.yaml", True), ("/etc/application", False), ("etc/app", False), ("/", False)],
)
def test_paths_of_mounted_files_are_told(value: str, leads: bool) -> None:
    container: dict[str, Any] = {"volumeMounts": [{"mountPath": "/etc/app/"}, {"mountPath": "/"}]}
    assert leading_to_mounts(container, [("CONFIG", value)]) == (["CONFIG"] if leads else [])
