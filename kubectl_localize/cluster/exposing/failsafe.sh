# The failsafe (failsafe.py), for the sh of any image.
#
# Arguments: seconds without a session, seconds that a way up may take, the pattern of the session's listener, the URL
# where to tell of the proof, then PATH=REPLICAS of each workload's scale and PATH=PATCH of each key of a switched
# Service's selector.
#
# A scale is written as it was read, with another count and its resourceVersion, so that somebody else's change in
# between is never overwritten; a `spec` without a count is zero. The user agent is not curl's, to which the API server
# would answer with indented JSON. The token goes by stdin, since everybody in the pod sees an argument.
# A PATCH is a JSON patch (RFC 6902) of two operations: a test whether the key still has the session's value, and what
# puts it back. A key that somebody else has changed fails the test (422) and stays as it is; without the test the patch
# changes nothing before the switch, and so is the proof.
# The first loop proves all of this with dryRun=All, for a while, as the RoleBinding may come later than the pod. The
# second one tells of it once the session is there, and counts by uptime, which no wall clock moves.
# A session that has not come in time, and that nothing was taken away for yet, may still come: it goes on waiting, but
# no longer than any way up takes, so that a zero which somebody else wants later stays.
# When the pod itself is ended while the session is gone, nobody else is left who could act: it acts at once. If the
# session was there until a moment ago, its supervisor lives, and has another pod take over.
after=$1 way_up=$2 listening=$3 url=$4 ending= told= scaled= heard=
shift 4
account=/run/failsafe/account state=/run/failsafe/state
case $KUBERNETES_SERVICE_HOST in
  *:*) server=https://[$KUBERNETES_SERVICE_HOST]:$KUBERNETES_SERVICE_PORT ;;
  *) server=https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT ;;
esac
trap 'ending=yes' TERM

call() { # METHOD PATH [BODY]
  type=json
  [ "$1" != PATCH ] || type=json-patch+json
  printf 'Authorization: Bearer %s\n' "$(cat "$account/token")" |
    curl -q -sS -f --noproxy '*' --max-time 5 --cacert "$account/ca.crt" -A kubectl-localize-failsafe \
      -H @- -H "Content-Type: application/$type" -X "$1" ${3:+--data "$3"} "$server$2" 2>&1
}
put() { # PATH REPLICAS, of the scale that was found
  call PUT "$1" "$(printf '%s' "$found" | sed 's/"spec":{[^}]*}/"spec":{"replicas":'"$2"'}/')"
}
prove() { # PATH REPLICAS|PATCH
  case $2 in '['*)
    found=$(call PATCH "$1?dryRun=All" "[${2#*\},}")
    return
    ;;
  esac
  found=$(call GET "$1") && found=$(put "$1?dryRun=All" "$2") || return 1
  case $found in *'"spec":{"replicas":'"$2"'}'*) ;; *) return 1 ;; esac
}
restore() { # PATH REPLICAS|PATCH
  case $2 in '['*)
    if found=$(call PATCH "$1" "$2"); then
      scaled=yes
    else
      case $found in *'error: 404'* | *'error: 422'*) ;; *) return 1 ;; esac
    fi
    return 0
    ;;
  esac
  found=$(call GET "$1") || case $found in *'error: 404'*) return 0 ;; *) return 1 ;; esac
  case $found in *'"spec":{}'* | *'"spec":{"replicas":0}'*) scaled=yes found=$(put "$1" "$2") ;; esac
}
each() { # FUNCTION TARGET…
  action=$1 failed=
  shift
  for target; do "$action" "${target%=*}" "${target##*=}" || failed="${target%=*}: $found"; done
  [ -z "$failed" ]
}
tell() {
  curl -q -sS -f --noproxy '*' --max-time 5 -A kubectl-localize-failsafe "$url" >/dev/null 2>&1
}
pause() { # SECONDS; a sleep that knows no fractions takes one
  sleep "$1" 2>/dev/null || sleep 1
}
clock() {
  read -r now _ </proc/uptime
  now=${now%%.*}
}

if [ -e "$state/fired" ]; then
  cat "$state/fired" >/dev/termination-log
  while [ -z "$ending" ]; do sleep 1; done
  exit 0
fi

clock
given_up=$((now + 10))
until [ -e "$state/proven" ]; do
  [ -z "$ending" ] || exit 0
  if each prove "$@"; then
    : >"$state/proven"
  elif clock && [ "$now" -lt "$given_up" ]; then
    pause 0.2
  else
    printf '%s' "$failed" >/dev/termination-log
    exit 1
  fi
done

clock
seen=$now began=$now
while :; do
  clock
  nap=0.2
  [ -z "$told" ] || nap=1
  if grep -qs "$listening" /proc/net/tcp /proc/net/tcp6; then
    seen=$now heard=yes
    [ -z "$ending" ] || exit 0
    [ -n "$told" ] || ! tell || told=yes
  elif [ -n "$ending" ] && [ -n "$heard" ] && [ $((now - seen)) -lt 4 ]; then
    exit 0
  elif [ -n "$ending" ] || [ $((now - seen)) -ge "$after" ]; then
    if ! each restore "$@"; then
      echo "$failed" >&2
      nap=1
    elif [ -z "$told$scaled$ending" ] && [ $((now - began)) -lt "$way_up" ]; then
      seen=$now
    else
      date -u '+fired %Y-%m-%dT%H:%M:%SZ' >"$state/fired"
      cat "$state/fired" >/dev/termination-log
      exit 0
    fi
  fi
  pause "$nap"
done
