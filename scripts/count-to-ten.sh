#!/bin/sh
# Description: Count, one number a second; good for a first try of live output and cancel
# Parameter: UNTIL =10 The last number

until="${PARAM_UNTIL:-10}"
case "$until" in
    '' | *[!0-9]*)
        echo "UNTIL must be a whole number, not '$until'." >&2
        exit 2
        ;;
esac

number=1
while [ "$number" -le "$until" ]; do
    echo "$number"
    number=$((number + 1))
    [ "$number" -gt "$until" ] || sleep 1
done
