#!/bin/sh
# Description: Show load, memory, disks, the busiest processes and failed services
# Parameter: PROCESSES =8 How many processes to list

processes="${PARAM_PROCESSES:-8}"
case "$processes" in
    '' | *[!0-9]*)
        echo "PROCESSES must be a whole number, not '$processes'." >&2
        exit 2
        ;;
esac

section() {
    printf '\n\033[1m%s\033[0m\n' "$1"
}

printf '\033[1m%s\033[0m, %s\n' "$(uname -n)" "$(uname -sr)"
uptime

if command -v free >/dev/null; then
    section "Memory"
    free -h
fi

section "Disks"
df -h -P 2>/dev/null | awk 'NR == 1 || $1 ~ "^/"'

section "Busiest processes"
ps -A -o pcpu,pmem,pid,user,comm | { read -r heads; echo "$heads"; sort -rn; } |
    head -n "$((processes + 1))"

if command -v systemctl >/dev/null && [ -d /run/systemd/system ]; then
    section "Failed services"
    failed="$(systemctl --failed --no-legend --plain 2>/dev/null)"
    echo "${failed:-none}"
fi

if [ -f /var/run/reboot-required ]; then
    printf '\n\033[33mThis machine asks for a restart.\033[0m\n'
fi
