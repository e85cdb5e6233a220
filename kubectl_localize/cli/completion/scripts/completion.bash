# Completion of kubectl-localize in bash.

_kubectl_localize() {
    local line directive=:4
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("$line")
        directive=$line
    done < <(
        COMP_LINE=$COMP_LINE COMP_POINT=$COMP_POINT _ARGCOMPLETE_COMP_WORDBREAKS=$COMP_WORDBREAKS \
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
