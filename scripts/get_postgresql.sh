#!/usr/bin/env bash
# Puts PostgreSQL, which tests start servers of, where they look for it: from the packages of Debian and Ubuntu.
#
# It never fails: where PostgreSQL cannot be installed, those tests are skipped, and say so.
set -u

say() { printf 'postgresql: %s\n' "$*"; }

if command -v initdb >/dev/null 2>&1 || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
  exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
  say "not here, and no apt-get to install it with; its tests are skipped"
  exit 0
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! sudo -n true >/dev/null 2>&1; then
    say "not here, and installing it takes root: apt-get install postgresql; its tests are skipped"
    exit 0
  fi
  as_root=(sudo -n)
fi

say "installing it, once"
# The package would also make and start a server of its own.
"${as_root[@]}" mkdir -p /etc/postgresql-common &&
  printf 'create_main_cluster = false\n' |
  "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
install=(env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends
  -o Dpkg::Options::=--force-confold postgresql)
if log=$("${as_root[@]}" apt-get -qq update 2>&1 && "${as_root[@]}" "${install[@]}" 2>&1); then
  say "ready in $(compgen -G '/usr/lib/postgresql/*/bin' | tail -n 1)"
else
  say "it does not install ($(printf '%s\n' "$log" | tail -n 1)); its tests are skipped"
fi
exit 0
