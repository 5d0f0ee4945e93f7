#!/usr/bin/env bash
# Puts PostgreSQL, which tests start servers of, where they look for it: from the packages of Debian and Ubuntu.
#
# It never fails: where PostgreSQL cannot be installed, those tests are skipped, and say so.
set -u
what=postgresql
. "$(dirname "$0")/packages.sh"

if command -v initdb >/dev/null 2>&1 || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
  exit 0
fi
can_install postgresql || exit 0
# The package would also make and start a server of its own.
"${as_root[@]}" mkdir -p /etc/postgresql-common &&
  printf 'create_main_cluster = false\n' |
  "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
install postgresql && say "ready in $(compgen -G '/usr/lib/postgresql/*/bin' | tail -n 1)"
exit 0
