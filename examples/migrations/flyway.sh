# Flyway: db/migration/V12__name.sql or V1.2__name.sql. JDBC knows no PG variables: address, name and limits are put together here.
set -eu
cd "$(dirname "$0")"
ask() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }
# A question without an answer ends the script: it would look like a database before its first revision.
current() {
    table=$(ask -c "SELECT to_regclass('flyway_schema_history')") || return 1
    [ -n "$table" ] || return 0
    ask -c 'SELECT version FROM flyway_schema_history WHERE success AND version IS NOT NULL ORDER BY installed_rank DESC LIMIT 1'
}
versions() {
    files=$(ls db/migration) || return 1
    echo "$files" | sed -n 's/__.*\.sql$//; s/^V//p' | sort -V
}
case $1 in
current) current ;;
heads)
    all=$(versions)
    echo "$all" | tail -1 ;;
up)
    options=$(echo "$PGOPTIONS" | sed 's/ /%20/g; s/=/%3D/g')
    export FLYWAY_URL="jdbc:postgresql://$PGHOST:${PGPORT:-5432}/$PGDATABASE?ApplicationName=$PGAPPNAME&options=$options"
    export FLYWAY_USER="$PGUSER" FLYWAY_PASSWORD="${PGPASSWORD:-}"
    flyway -locations=filesystem:db/migration -target="$2" migrate ;;
sql)
    here=$(current)
    all=$(versions)
    for version in $all; do
        [ -n "$here" ] && [ "$(printf '%s\n%s\n' "$version" "$here" | sort -V | tail -1)" = "$here" ] || cat "db/migration/V${version}__"*.sql
    done ;;
esac
