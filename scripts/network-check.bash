#!/usr/bin/env bash
# Description: Check addresses, default route, name lookup and the listening ports
# Parameter: HOST =localhost A name to look up
# Parameter: PORT Also try to connect to this TCP port of HOST

set -u
host="${PARAM_HOST:-localhost}"
port="${PARAM_PORT:-}"
problems=0

good() { printf '\033[32mok\033[0m    %s\n' "$1"; }
bad() {
    printf '\033[31mfail\033[0m  %s\n' "$1"
    problems=$((problems + 1))
}

if [[ ! $host =~ ^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?$ ]]; then
    echo "HOST must be a host name or an address." >&2
    exit 2
fi
if [[ -n $port && ! $port =~ ^[0-9]{1,5}$ ]]; then
    echo "PORT must be a port number." >&2
    exit 2
fi

if command -v ip >/dev/null; then
    echo "Addresses:"
    ip -brief address
    if [[ -n $(ip route show default) ]]; then
        good "there is a default route"
    else
        bad "there is no default route"
    fi
fi

if address=$(getent hosts "$host"); then
    good "$host is ${address%% *}"
else
    bad "$host cannot be looked up"
fi

if [[ -n $port ]]; then
    if timeout 5 bash -c 'exec 3<>"/dev/tcp/$1/$2"' connect "$host" "$port" 2>/dev/null; then
        good "$host answers on port $port"
    else
        bad "$host does not answer on port $port within 5 s"
    fi
fi

if command -v ss >/dev/null; then
    echo "Listening:"
    ss -H -l -t -n | awk '{ print "  " $4 }' | sort -u
fi

((problems == 0))
