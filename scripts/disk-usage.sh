#!/bin/sh
# Description: Show how full the disks are and which folders take the most space
# Parameter: FOLDER =/var The folder to look into
# Parameter: LINES =15 How many folders to list

folder="${PARAM_FOLDER:-/var}"
lines="${PARAM_LINES:-15}"

if [ ! -d "$folder" ]; then
    echo "'$folder' is not a folder on this machine." >&2
    exit 2
fi
case "$lines" in
    '' | *[!0-9]*)
        echo "LINES must be a whole number, not '$lines'." >&2
        exit 2
        ;;
esac

echo "Disks:"
df -h -P 2>/dev/null | awk 'NR == 1 || $1 ~ "^/"'

echo
echo "Largest folders in $folder:"
# -x stays on one disk; folders that may not be read are left out of the sums.
du -x -k -- "$folder" 2>/dev/null | sort -rn | head -n "$lines" |
    awk '{ size = $1; sub(/^[0-9]+\t/, ""); printf "%10.1f MiB  %s\n", size / 1024, $0 }'
