# Completion of kubectl-localize in fish.

function __kubectl_localize_complete
    set -l before (commandline -opc)
    set -l token (commandline -ct)
    # an open quote cannot be unescaped
    set -l current (string unescape -- "$token"; or string replace -r -- "^['\"]" '' "$token")
    set -l candidates ($before[1] __complete_fish $before[2..-1] "$current" 2>/dev/null)
    if test (count $candidates) -gt 1
        printf '%s\n' $candidates[1..-2]
    else if test "$candidates[-1]" = :0
        set -l head (string match -r -- '^--[^=]+=' "$current")
        for path in (__fish_complete_path (string replace -r -- '^--[^=]+=' '' "$current"))
            echo "$head$path"
        end
    end
end

complete -c kubectl-localize -f -a '(__kubectl_localize_complete)'
