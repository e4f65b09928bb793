#!/usr/bin/env bash
# Description: Show the errors of the system journal, or of one log file, of the last hours
# Parameter: HOURS =24 How far to look back in the journal
# Parameter: FILE A log file to search instead of the journal

set -u -o pipefail
hours="${PARAM_HOURS:-24}"
file="${PARAM_FILE:-}"

if [[ ! $hours =~ ^[0-9]{1,4}$ ]]; then
    echo "HOURS must be a whole number." >&2
    exit 2
fi

if [[ -n $file ]]; then
    if [[ ! -f $file || ! -r $file ]]; then
        echo "'$file' is no file that can be read." >&2
        exit 2
    fi
    grep -a -i -E 'error|fatal|panic|critical' -- "$file" | tail -n 200
elif command -v journalctl >/dev/null; then
    journalctl --no-pager --priority=err --since="-${hours}h" --output=short-iso | tail -n 200
else
    echo "This machine has no journal; name a FILE." >&2
    exit 1
fi
code=$?
# grep found nothing: that is good news, not a failure.
if ((code == 1)) && [[ -n $file ]]; then
    echo "No errors in $file."
    exit 0
fi
exit "$code"
