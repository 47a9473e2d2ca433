# TypeORM: src/migrations/1700000000000-AddNote.ts holds the class AddNote1700000000000, which is what the table has.
set -eu
cd "$(dirname "$0")"
ask() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }
typeorm() { npx typeorm "$@" -d dist/data-source.js; }
# A question without an answer ends the script: it would look like a database before its first revision.
current() {
    table=$(ask -c "SELECT to_regclass('migrations')") || return 1
    [ -n "$table" ] || return 0
    ask -c 'SELECT name FROM migrations ORDER BY timestamp DESC LIMIT 1'
}
case $1 in
current) current ;;
heads)
    files=$(ls src/migrations)
    echo "$files" | sort -n | tail -1 | sed 's/^\([0-9]*\)-\(.*\)\.ts$/\2\1/' ;;
up) typeorm migration:run --transaction each ;;
down)
    [ "$2" = base ] && target='' || target=$2
    while :; do
        here=$(current)
        [ "$here" != "$target" ] || break
        [ -n "$here" ] || { echo "$2 is not behind where the database is" >&2; exit 1; }
        typeorm migration:revert --transaction each
    done ;;
esac
