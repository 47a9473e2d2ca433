# Prisma: prisma/migrations/NAME/migration.sql, and beside each a down.sql (prisma migrate diff writes one).
set -eu
cd "$(dirname "$0")"
ask() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }
current() {
    [ -n "$(ask -c "SELECT to_regclass('_prisma_migrations')")" ] || return 0
    ask -c 'SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL
            ORDER BY migration_name DESC LIMIT 1'
}
names() { ls prisma/migrations | grep '^[0-9]'; }
case $1 in
current) current ;;
heads) names | tail -1 ;;
up)
    export DATABASE_URL="$SERIN_DATABASE_URL"
    # A migration that failed, such as for want of a lock, was one transaction: nothing of it is left. Prisma wants to be told so.
    if [ -n "$(ask -c "SELECT to_regclass('_prisma_migrations')")" ]; then
        for name in $(ask -c 'SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NULL AND rolled_back_at IS NULL'); do
            npx prisma migrate resolve --rolled-back "$name"
        done
    fi
    npx prisma migrate deploy ;;
down)
    # Prisma itself cannot take back what succeeded: its script and its note go together.
    for name in $(names | sort -r); do
        [ "$2" = base ] || expr "$name" \> "$2" >/dev/null || continue
        here=$(current)
        [ -n "$here" ] && ! expr "$name" \> "$here" >/dev/null || continue
        { cat "prisma/migrations/$name/down.sql"; echo ";DELETE FROM _prisma_migrations WHERE migration_name = '$name';"; } | ask -1 -f -
    done ;;
sql)
    here=$(current)
    for name in $(names); do
        [ -z "$here" ] || expr "$name" \> "$here" >/dev/null || continue
        cat "prisma/migrations/$name/migration.sql"
    done ;;
esac
