#!/bin/sh
# Archives one file of Postgres' write-ahead log into a folder:
#
#     archive_mode = on
#     archive_timeout = 5min
#     archive_command = '/usr/local/bin/archive-wal.sh %p /var/backups/wal/%f'
#
# Unlike a plain cp it puts the bytes on the disk before Postgres may recycle the file, never shows half a file under its final
# name, and never replaces one that is there: two clusters that archive into one folder must not destroy each other's log.
# Postgres tries again until the status is 0.
set -eu
umask 077
[ $# -eq 2 ] || { echo "usage: archive-wal.sh FILE TARGET" >&2; exit 64; }
source=$1
target=$2
folder=$(dirname -- "$target")

if [ -e "$target" ]; then
    # After a crash Postgres may ask again for what was archived.
    if cmp -s -- "$source" "$target"; then
        sync -- "$target" "$folder"
        exit 0
    fi
    echo "archive-wal.sh: $target exists with another content; nothing was changed" >&2
    exit 1
fi

partial=$(mktemp -- "$folder/.archive.XXXXXXXX")
trap 'rm -f -- "$partial"' EXIT
cat <"$source" >"$partial"
sync -- "$partial"
# A second name, which unlike a rename fails where the name is taken.
ln -- "$partial" "$target"
rm -f -- "$partial"
sync -- "$folder"
