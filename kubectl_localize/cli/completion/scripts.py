"""What the shells read: a script for each, and the executable that kubectl looks for."""

from __future__ import annotations

from collections.abc import Mapping

# Stands in every file that `completion install` writes, so that it knows its own again.
MARK = "written by `kubectl localize completion install`"

_BASH = """\
# Completion of kubectl-localize in bash.

_kubectl_localize() {
    local line directive=:4
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("$line")
        directive=$line
    done < <(
        COMP_LINE=$COMP_LINE COMP_POINT=$COMP_POINT _ARGCOMPLETE_COMP_WORDBREAKS=$COMP_WORDBREAKS \\
            "$1" __complete_bash 2>/dev/null
    )
    if ((${#COMPREPLY[@]})); then
        unset "COMPREPLY[${#COMPREPLY[@]}-1]"
    fi
    # bash 3 has no compopt, and offers files then
    if [[ $directive != :0 ]]; then
        compopt +o default 2>/dev/null
    fi
}

complete -o default -F _kubectl_localize kubectl-localize
"""

_ZSH = """\
#compdef kubectl-localize
# Completion of kubectl-localize in zsh, for ~/.zshrc (after compinit) or as _kubectl-localize in a directory of fpath.

_kubectl-localize() {
    local -a found
    found=("${(@f)$("${(Q)words[1]}" __complete_zsh "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    local directive=$found[-1]
    found[-1]=()
    if (( $#found )); then
        _describe -t localize 'kubectl localize' found
    elif [[ $directive == :0 ]]; then
        compset -P '--[^=]#='
        _files
    fi
}

if [[ $funcstack[1] == _kubectl-localize ]]; then
    _kubectl-localize "$@"
else
    compdef _kubectl-localize kubectl-localize
fi
"""

_FISH = """\
# Completion of kubectl-localize in fish.

function __kubectl_localize_complete
    set -l before (commandline -opc)
    set -l token (commandline -ct)
    # an open quote cannot be unescaped
    set -l current (string unescape -- "$token"; or string replace -r -- "^['\\"]" '' "$token")
    set -l found ($before[1] __complete_fish $before[2..-1] "$current" 2>/dev/null)
    if test (count $found) -gt 1
        printf '%s\\n' $found[1..-2]
    else if test "$found[-1]" = :0
        set -l head (string match -r -- '^--[^=]+=' "$current")
        for path in (__fish_complete_path (string replace -r -- '^--[^=]+=' '' "$current"))
            echo "$head$path"
        end
    end
end

complete -c kubectl-localize -f -a '(__kubectl_localize_complete)'
"""

SCRIPTS: Mapping[str, str] = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}

# By its name: kubectl looks both up in the same PATH, and krew moves the file that the name leads to.
FOR_KUBECTL = f"""\
#!/bin/sh
# {MARK}: kubectl asks it what may follow `kubectl localize`
exec kubectl-localize __complete "$@"
"""


def marked(shell: str) -> str:
    """The script of a shell as a file of its own; zsh wants its first line to stay the first."""
    first, _, rest = SCRIPTS[shell].partition("\n")
    return f"{first}\n# {MARK}\n{rest}"
