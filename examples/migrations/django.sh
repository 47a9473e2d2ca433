# Django, one application of it: APP. Its connection uses libpq, so address, name and limits reach it by themselves.
set -eu
cd "$(dirname "$0")"
APP=${APP:-shop}
case $1 in
# Asked before it is read: what fails inside a pipe would look like an application without migrations.
current | heads | sql) plan=$(venv/bin/python manage.py showmigrations "$APP" --list) ;;
esac
case $1 in
current) echo "$plan" | sed -n 's/^ \[X\] \([^ ]*\).*/\1/p' | tail -1 ;;
heads) echo "$plan" | sed -n 's/^ \[[X ]\] \([^ ]*\).*/\1/p' | tail -1 ;;
up) venv/bin/python manage.py migrate "$APP" "$2" ;;
down) [ "$2" = base ] && set -- down zero; venv/bin/python manage.py migrate "$APP" "$2" ;;
sql) for name in $(echo "$plan" | sed -n 's/^ \[ \] \([^ ]*\).*/\1/p'); do venv/bin/python manage.py sqlmigrate "$APP" "$name"; done ;;
esac
