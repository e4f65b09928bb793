# What plugin.sh may call. Each call asks shell.py over $TORU_FD: words with a NUL after each,
# their number first; the answer is + and a text, or - and a complaint, with a NUL after it.
unset BASH_ENV # this file is for plugin.sh, not for the scripts that it starts

ask() {
  local reply
  printf '%s\0' "$#" "$@" >&"$TORU_FD"
  IFS= read -r -d '' reply <&"$TORU_FD" || return 1
  if [[ $reply == +* ]]; then
    printf '%s' "${reply#+}"
    return 0
  fi
  if [[ $reply != - ]]; then
    printf '%s\n' "${reply#-}" >&2
  fi
  return 1
}

kv() { ask kv "$@"; }
param() { ask param "$@"; }
config() { ask config "$@"; }
json() { ask json "$@"; }
status() { ask status "$@"; }
header() { ask header "$@"; }

fail() {
  status "$1"
  json "error=$2"
  exit 0
}
