# Django, one application of it: APP. Its connection uses libpq, so address, name and limits reach it by themselves.
set -eu
cd "$(dirname "$0")"
APP=${APP:-shop}
plan() { venv/bin/python manage.py showmigrations "$APP" --list; }
case $1 in
current) plan | sed -n 's/^ \[X\] \([^ ]*\).*/\1/p' | tail -1 ;;
heads) plan | sed -n 's/^ \[[X ]\] \([^ ]*\).*/\1/p' | tail -1 ;;
up) venv/bin/python manage.py migrate "$APP" "$2" ;;
down) [ "$2" = base ] && set -- down zero; venv/bin/python manage.py migrate "$APP" "$2" ;;
sql) for name in $(plan | sed -n 's/^ \[ \] \([^ ]*\).*/\1/p'); do venv/bin/python manage.py sqlmigrate "$APP" "$name"; done ;;
esac
