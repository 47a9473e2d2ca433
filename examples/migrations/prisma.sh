# Prisma: prisma/migrations/NAME/migration.sql, and beside each a down.sql (prisma migrate diff writes one).
set -eu
cd "$(dirname "$0")"
ask() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }
# A question without an answer ends the script: it would look like a database before its first revision.
has_table() { table=$(ask -c "SELECT to_regclass('_prisma_migrations')") || exit 1; [ -n "$table" ]; }
current() {
    has_table || return 0
    ask -c 'SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL
            ORDER BY migration_name DESC LIMIT 1'
}
names() {
    files=$(ls prisma/migrations) || return 1
    echo "$files" | sed -n '/^[0-9]/p'
}
case $1 in
current) current ;;
heads)
    all=$(names)
    echo "$all" | tail -1 ;;
up)
    export DATABASE_URL="$SERIN_DATABASE_URL"
    # A migration that failed, such as for want of a lock, was one transaction: nothing of it is left. Prisma wants to be told so.
    if has_table; then
        failed=$(ask -c 'SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NULL AND rolled_back_at IS NULL')
        for name in $failed; do
            npx prisma migrate resolve --rolled-back "$name"
        done
    fi
    npx prisma migrate deploy ;;
down)
    # Prisma itself cannot take back what succeeded: its script and its note go together.
    all=$(names)
    for name in $(echo "$all" | sort -r); do
        [ "$2" = base ] || expr "$name" \> "$2" >/dev/null || continue
        here=$(current)
        [ -n "$here" ] && ! expr "$name" \> "$here" >/dev/null || continue
        back=$(cat "prisma/migrations/$name/down.sql")
        { printf '%s\n' "$back"; echo ";DELETE FROM _prisma_migrations WHERE migration_name = '$name';"; } | ask -1 -f -
    done ;;
sql)
    here=$(current)
    all=$(names)
    for name in $all; do
        [ -z "$here" ] || expr "$name" \> "$here" >/dev/null || continue
        cat "prisma/migrations/$name/migration.sql"
    done ;;
esac
