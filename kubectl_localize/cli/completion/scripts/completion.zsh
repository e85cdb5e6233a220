#compdef kubectl-localize
# Completion of kubectl-localize in zsh, for ~/.zshrc (after compinit) or as _kubectl-localize in a directory of fpath.

_kubectl-localize() {
    local -a candidates
    candidates=("${(@f)$("${(Q)words[1]}" __complete_zsh "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    local directive=$candidates[-1]
    candidates[-1]=()
    if (( $#candidates )); then
        _describe -t localize 'kubectl localize' candidates
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
