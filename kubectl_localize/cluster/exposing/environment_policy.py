"""Which of a container's variables a local command gets: what describes or runs in the container stays there.

The rules are data. The sources of the names: what sudo removes (sudoers(5), `env_delete`), what glibc removes from
programs with other rights (sysdeps/generic/unsecvars.h), and the manuals of the languages and tools.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

_WORD = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class Rule:
    """Variables that stay away, and why.

    Args:
        why: for all of them, as the end of a sentence.
        names: their names, as globs, case counts.
        unless: a value that all of it matches is no danger, and is passed on.
    """

    why: str
    names: frozenset[str]
    unless: re.Pattern[str] | None = None


def _rule(why: str, names: str, unless: re.Pattern[str] | None = None) -> Rule:
    return Rule(why, frozenset(names.split()), unless)


MACHINE = "belong to a machine or its user"
CONTAINER = "describe the container's files or network"
RUNS = "run code or steer tools"

RULES = (
    _rule(
        MACHINE,
        """
        PATH HOME PWD OLDPWD SHELL USER LOGNAME MAIL TERM TERMINFO TERMINFO_DIRS TERMCAP TERMPATH COLUMNS LINES
        TMPDIR TMP TEMP TMPPREFIX XDG_* DISPLAY WAYLAND_DISPLAY XAUTHORITY DBUS_* SSH_AUTH_SOCK SSH_AGENT_PID
        SSH_CLIENT SSH_CONNECTION SSH_TTY SUDO_* SHLVL _
        """,
    ),
    _rule(  # certificates, time zones, resolver
        CONTAINER,
        """
        SSL_CERT_FILE SSL_CERT_DIR SSLKEYLOGFILE NIX_SSL_CERT_FILE REQUESTS_CA_BUNDLE CURL_CA_BUNDLE AWS_CA_BUNDLE
        NODE_EXTRA_CA_CERTS DENO_CERT DENO_TLS_CA_STORE HTTPLIB2_CA_CERTS GRPC_DEFAULT_SSL_ROOTS_FILE_PATH
        PERL_LWP_SSL_CA_FILE PERL_LWP_SSL_CA_PATH CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE PIP_CERT CARGO_HTTP_CAINFO
        GIT_SSL_CAINFO GIT_SSL_CAPATH BUNDLE_SSL_CA_CERT NPM_CONFIG_CAFILE OPENSSL_CONF OPENSSL_CONF_INCLUDE
        OPENSSL_MODULES OPENSSL_ENGINES GNUTLS_SYSTEM_PRIORITY_FILE
        PGSSLROOTCERT PGSSLCERT PGSSLKEY PGSSLCRL PGSSLCRLDIR PGPASSFILE PGSERVICEFILE PGSYSCONFDIR
        TZDIR LOCPATH NLSPATH PATH_LOCALE HOSTALIASES LOCALDOMAIN RES_OPTIONS RESOLV_HOST_CONF NIS_PATH
        http_proxy https_proxy ftp_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY FTP_PROXY ALL_PROXY NO_PROXY
        """,
    ),
    _rule(  # where languages, tools and data are installed
        CONTAINER,
        """
        PYTHONHOME PYTHONUSERBASE PYTHONEXECUTABLE PYTHONPLATLIBDIR PYTHONPYCACHEPREFIX VIRTUAL_ENV CONDA_* MAMBA_*
        PYENV_* PIPX_* POETRY_HOME POETRY_CACHE_DIR POETRY_VIRTUALENVS_* UV_PYTHON* UV_CACHE_DIR UV_TOOL_* UV_PROJECT*
        PDM_HOME PIPENV_* WORKON_HOME NLTK_DATA JUPYTER_* IPYTHONDIR
        JAVA_HOME JDK_HOME JRE_HOME JAVA_*_HOME CATALINA_HOME CATALINA_BASE JETTY_HOME JETTY_BASE JBOSS_HOME
        WILDFLY_HOME M2_HOME M2 MAVEN_HOME GRADLE_HOME GRADLE_USER_HOME ANT_HOME SBT_HOME SCALA_HOME KOTLIN_HOME
        GROOVY_HOME CLASSPATH SDKMAN_* SPARK_HOME HADOOP_HOME HADOOP_CONF_DIR
        NODE_PATH NODE_ICU_DATA NODE_COMPILE_CACHE NODE_REPL_HISTORY NODE_V8_COVERAGE NVM_* VOLTA_* FNM_* PNPM_HOME
        COREPACK_* BUN_INSTALL DENO_DIR DENO_INSTALL* PLAYWRIGHT_BROWSERS_PATH PUPPETEER_EXECUTABLE_PATH
        PUPPETEER_CACHE_DIR CYPRESS_CACHE_FOLDER CHROME_BIN CHROME_PATH
        GOROOT GOPATH GOBIN GOCACHE GOMODCACHE GOTMPDIR GOTOOLDIR GOWORK RUSTUP_* CARGO_HOME CARGO_TARGET_DIR
        GEM_HOME GEM_PATH GEM_SPEC_CACHE BUNDLE_GEMFILE BUNDLE_PATH BUNDLE_BIN BUNDLE_APP_CONFIG RBENV_* RVM_* rvm_*
        PERL_LOCAL_LIB_ROOT PERLBREW_* COMPOSER_HOME COMPOSER_CACHE_DIR PHPRC PHP_INI_SCAN_DIR PHP_INI_DIR PHPENV_*
        DOTNET_ROOT DOTNET_ROOT* DOTNET_HOST_PATH DOTNET_BUNDLE_EXTRACT_BASE_DIR DOTNET_CLI_HOME NUGET_PACKAGES
        MSBuildSDKsPath MSBUILD_EXE_PATH MONO_PATH MONO_CFG_DIR
        ERL_LIBS ERL_ROOTDIR ROOTDIR BINDIR MIX_HOME MIX_ARCHIVES HEX_HOME REBAR_* R_HOME R_LIBS R_LIBS_* R_ENVIRON*
        LUA_PATH* LUA_CPATH* JULIA_DEPOT_PATH JULIA_LOAD_PATH JULIA_PROJECT JULIA_BINDIR GHC_PACKAGE_PATH STACK_ROOT
        CABAL_DIR GHCUP_* OPAM* OCAMLLIB CAML_LD_LIBRARY_PATH TCL_LIBRARY TCLLIBPATH TK_LIBRARY GUILE_LOAD*PATH
        ASDF_* MISE_* NIX_PATH NIX_PROFILES NIX_STORE* HOMEBREW_* LINUXBREW_* SNAP SNAP_* FLATPAK_*
        MANPATH INFOPATH PKG_CONFIG_PATH PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR CPATH C_INCLUDE_PATH
        CPLUS_INCLUDE_PATH OBJC_INCLUDE_PATH LIBRARY_PATH CMAKE_PREFIX_PATH ACLOCAL_PATH SYSROOT
        CUDA_HOME CUDA_PATH ANDROID_HOME ANDROID_SDK_ROOT ANDROID_NDK_HOME FLUTTER_ROOT
        ORACLE_HOME TNS_ADMIN ODBCINI ODBCSYSINI ODBCINSTINI LIBPQ_SYSCONFDIR FONTCONFIG_FILE FONTCONFIG_PATH
        GDAL_DATA GDAL_DRIVER_PATH PROJ_LIB PROJ_DATA MAGICK_HOME MAGICK_CONFIGURE_PATH TESSDATA_PREFIX
        GTK_PATH GTK_DATA_PREFIX GI_TYPELIB_PATH GSETTINGS_SCHEMA_DIR QT_PLUGIN_PATH QT_QPA_PLATFORM_PLUGIN_PATH
        QML_IMPORT_PATH QML2_IMPORT_PATH
        """,
    ),
    _rule(  # the pod's identity in the cluster and in its cloud, by files and addresses that only it has
        CONTAINER,
        """
        KUBERNETES_SERVICE_* KUBERNETES_PORT KUBERNETES_PORT_* AWS_WEB_IDENTITY_TOKEN_FILE
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE AWS_CONTAINER_CREDENTIALS_* AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE
        AZURE_FEDERATED_TOKEN_FILE AZURE_CONFIG_DIR GOOGLE_APPLICATION_CREDENTIALS CLOUDSDK_CONFIG BOTO_CONFIG
        KRB5_CONFIG KRB5_KTNAME KRB5_CLIENT_KTNAME KRB5CCNAME GNUPGHOME NETRC CURL_HOME WGETRC
        DOCKER_HOST DOCKER_CONFIG DOCKER_CONTEXT DOCKER_CERT_PATH DOCKER_TLS* CONTAINER_HOST CONTAINERD_* BUILDKIT_HOST
        REGISTRY_AUTH_FILE
        """,
    ),
    _rule(  # the dynamic linker and the C library
        RUNS,
        """
        LD_* _RLD* RLD_* DYLD_* SHLIB_PATH LIBPATH GCONV_PATH GETCONF_DIR GLIBC_TUNABLES MALLOC_TRACE GIO_MODULE_DIR
        GIO_EXTRA_MODULES GTK_MODULES GTK3_MODULES GST_PLUGIN_* GST_REGISTRY* VK_*LAYER* VK_ICD_FILENAMES
        VK_DRIVER_FILES LIBGL_DRIVERS_PATH OCL_ICD_* CUDA_INJECTION64_PATH ASAN_OPTIONS LSAN_OPTIONS TSAN_OPTIONS
        UBSAN_OPTIONS MSAN_OPTIONS
        """,
    ),
    _rule(  # shells
        RUNS,
        """
        BASH_ENV BASH_FUNC_* BASH_LOADABLES_PATH BASH_XTRACEFD BASHOPTS SHELLOPTS PROMPT_COMMAND PS0 PS1 PS2 PS4 IFS
        CDPATH GLOBIGNORE EXECIGNORE INPUTRC HISTFILE FCEDIT ZDOTDIR FPATH NULLCMD READNULLCMD KSH_ENV
        FISH_* fish_* __fish* STARSHIP_*
        """,
    ),
    _rule(RUNS, "ENV", unless=_WORD),  # a file that sh reads; most who set it mean `production`
    _rule(  # languages
        RUNS,
        """
        PYTHONPATH PYTHONSTARTUP PYTHONINSPECT PYTHONWARNINGS PYTHONBREAKPOINT PYTHONCASEOK PYTHONPERFSUPPORT
        PYTEST_ADDOPTS PYTEST_PLUGINS PIP_* UV_*INDEX* DJANGO_AUTORELOAD*
        NODE_OPTIONS NODE_REPL_EXTERNAL_MODULE NODE_REDIRECT_WARNINGS NODE_CHANNEL_FD
        NPM_CONFIG_* npm_* YARN_* PNPM_* BUN_OPTIONS BUN_CONFIG_* DENO_AUTH_TOKENS TS_NODE_* ELECTRON_RUN_AS_NODE
        ESLINT_USE* NX_*RUNNER*
        JAVA_TOOL_OPTIONS _JAVA_OPTIONS JDK_JAVA_OPTIONS JDK_JAVAC_OPTIONS JAVA_OPTS JAVA_OPTIONS JAVA_ARGS JVM_OPTS
        JAVA_AGENT* OPENJ9_JAVA_OPTIONS IBM_JAVA_OPTIONS CATALINA_OPTS JETTY_ARGS MAVEN_OPTS MAVEN_ARGS MAVEN_CONFIG
        GRADLE_OPTS ANT_OPTS ANT_ARGS SBT_OPTS SCALA_OPTS KOTLIN_OPTS LEIN_* JRUBY_OPTS GROOVY_OPTS
        PERL5OPT PERL5LIB PERLLIB PERL5DB PERL5DB_* PERL5SHELL PERLIO_DEBUG PERL_MB_OPT PERL_MM_OPT PERL_CPANM_OPT
        RUBYOPT RUBYLIB RUBYSHELL RUBYPATH IRBRC RAKEOPT BUNDLER_* BUNDLE_* PHP_AUTO_PREPEND_FILE
        GOFLAGS GOENV GOTOOLCHAIN GOPROXY GONOPROXY GOSUMDB GONOSUMDB GONOSUMCHECK GOINSECURE GOPRIVATE GOVCS GOAUTH
        CGO_* GO_EXTLINK_ENABLED RUSTC RUSTC_* RUSTDOC RUSTDOCFLAGS RUSTFLAGS CARGO CARGO_*
        DOTNET_STARTUP_HOOKS DOTNET_ADDITIONAL_DEPS DOTNET_SHARED_STORE DOTNET_ENABLE_PROFILING CORECLR_* COR_*
        DOTNET_PROFILER* ASPNETCORE_HOSTINGSTARTUP* MSBUILD* MONO_ENV_OPTIONS MONO_GAC_PREFIX
        ERL_FLAGS ERL_AFLAGS ERL_ZFLAGS ERL_*_FLAGS ERL_INETRC ELIXIR_ERL_OPTIONS IEX_* LUA_INIT* R_PROFILE*
        JULIA_STARTUP* GHCRTS OCAMLRUNPARAM CAMLRUNPARAM GUILE_* TCLSHRC EMACSLOADPATH VIMINIT EXINIT NVIM_*
        """,
    ),
    _rule(  # tools that people and scripts call
        RUNS,
        """
        GIT_SSH GIT_SSH_* GIT_ASKPASS GIT_EDITOR GIT_SEQUENCE_EDITOR GIT_PAGER GIT_EXTERNAL_DIFF GIT_DIFF_OPTS
        GIT_PROXY_COMMAND GIT_EXEC_PATH GIT_TEMPLATE_DIR GIT_CONFIG GIT_CONFIG_* GIT_DIR GIT_WORK_TREE
        GIT_COMMON_DIR GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_ATTR_*
        GIT_ALLOW_PROTOCOL GIT_SSL_NO_VERIFY GIT_TRACE* GIT_AUTHOR_* GIT_COMMITTER_*
        SSH_ASKPASS SSH_ASKPASS_REQUIRE SSH_SK_PROVIDER SVN_SSH CVS_RSH HGRCPATH HGEDITOR RSYNC_RSH RSYNC_CONNECT_PROG
        EDITOR VISUAL PAGER MANPAGER BROWSER LESS LESSOPEN LESSCLOSE LESSKEY* LESSEDIT MORE SYSTEMD_PAGER
        SYSTEMD_EDITOR SYSTEMD_LESS KUBECONFIG KUBERC KUBE_EDITOR KUBECTL_* KUBE_CONFIG_PATH* HELM_PLUGINS HELM_*_HOME
        HELM_REPOSITORY_* HELM_REGISTRY_CONFIG HELM_KUBE* HELM_DRIVER* HELM_BIN KUSTOMIZE_*
        MINIKUBE_* KREW_ROOT COMPOSE_FILE COMPOSE_PROJECT_NAME TF_CLI_* TF_PLUGIN_* TF_DATA_DIR ANSIBLE_*
        PSQLRC PSQL_EDITOR PSQL_PAGER GCC_EXEC_PREFIX COMPILER_PATH COVERAGE_PROCESS_START
        AWS_PAGER CLOUDSDK_PYTHON* BOTO_* SKAFFOLD_* TELEPRESENCE_*
        MAKEFLAGS MFLAGS MAKEFILES GNUMAKEFLAGS MAKEOVERRIDES TAR_OPTIONS GREP_OPTIONS GZIP BZIP BZIP2 XZ_OPT
        XZ_DEFAULTS ZIPOPT UNZIP CPIO_OPTIONS AWKPATH AWKLIBPATH POSIXLY_CORRECT
        CC CXX CPP AR AS LD NM RANLIB CFLAGS CXXFLAGS CPPFLAGS LDFLAGS LEX YACC CMAKE_* CCACHE_* DISTCC_* NINJA_STATUS
        """,
    ),
)
_PLAIN_NAMES = {name: rule for rule in reversed(RULES) for name in rule.names if not set(name) & set("*?[")}
_GLOBS = tuple((name, rule) for rule in RULES for name in sorted(rule.names) if set(name) & set("*?["))

MOST_NAMES = 20
LONGEST_NAME = 60
FUNCTION = "() {"  # so begins a function that a bash without the fixes of 2014 takes over from any variable


@dataclass(frozen=True)
class EnvironmentChoice:
    """What the user has said about single variables.

    Args:
        taken: names that are passed on, whatever the rules say.
        excluded: globs of further names that are not.
    """

    taken: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Passed:
    """What becomes of a container's variables.

    Args:
        variables: those that the command gets.
        withheld: the names of those that it does not get by the rules, by the reason.
        unknown: names in `taken` that the container does not have.
    """

    variables: tuple[tuple[str, str], ...]
    withheld: Mapping[str, tuple[str, ...]]
    unknown: tuple[str, ...] = ()

    def sentence(self) -> str:
        """One line that names what the rules withhold; empty if that is nothing."""
        if not self.withheld:
            return ""
        words = "; ".join(f"{_listed(names)} ({why})" for why, names in self.withheld.items())
        return f"not taken from the container: {words}; --env NAME takes one all the same"


def _listed(names: Sequence[str]) -> str:
    """As many as a line can take: names come from the cluster, and there may be thousands, of any length."""
    shown = [name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…" for name in names[:MOST_NAMES]]
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(shown) + more


def reason(name: str, value: str) -> str:
    """Why a variable stays away by default; empty if it does not. Pure, like all here."""
    rule = _PLAIN_NAMES.get(name)
    if rule is None:
        rule = next((rule for glob, rule in _GLOBS if fnmatchcase(name, glob)), None)
    if rule is not None and not (rule.unless is not None and rule.unless.fullmatch(value)):
        return rule.why
    if value.startswith(FUNCTION) or not name or "=" in name or "\0" in name:
        return RUNS
    return ""


def leading_to_mounts(container: Mapping[str, Any], variables: Sequence[tuple[str, str]]) -> list[str]:
    """The names of variables whose value is a path of a file that is mounted into the container, so it is not here."""
    paths = [str(mount["mountPath"]).rstrip("/") for mount in container.get("volumeMounts") or ()]
    return [
        name
        for name, value in variables
        if any(path and (value == path or value.startswith(f"{path}/")) for path in paths)
    ]


def choose(variables: Sequence[tuple[str, str]], choice: EnvironmentChoice) -> Passed:
    """Divide a container's variables into those that a local command gets and those that it does not."""
    passed: list[tuple[str, str]] = []
    withheld: dict[str, list[str]] = {}
    for name, value in variables:
        why = "" if name in choice.taken else reason(name, value)
        if why:
            withheld.setdefault(why, []).append(name)
        elif name in choice.taken or not any(fnmatchcase(name, glob) for glob in choice.excluded):
            passed.append((name, value))
    names = {name for name, _ in variables}
    return Passed(
        tuple(passed),
        {why: tuple(sorted(names)) for why, names in withheld.items()},
        tuple(name for name in choice.taken if name not in names),
    )
