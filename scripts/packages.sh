#!/usr/bin/env bash
# For scripts that bring packages of Debian and Ubuntu, and never fail: they set `what`, the first word of their lines.
say() { printf '%s: %s\n' "${what:?}" "$*"; }

# Puts into `as_root` what commands of an administrator begin with; without, it says why there are none.
can_install() {
  if ! command -v apt-get >/dev/null 2>&1; then
    say "not here, and no apt-get to install it with; its tests are skipped"
    return 1
  fi
  as_root=()
  [ "$(id -u)" -eq 0 ] && return 0
  if ! sudo -n true >/dev/null 2>&1; then
    say "not here, and installing it takes root: apt-get install $*; its tests are skipped"
    return 1
  fi
  as_root=(sudo -n)
}

# Installs packages, after `can_install`; where that does not go it says why.
install() {
  local log
  say "installing it, once"
  if ! log=$("${as_root[@]}" apt-get -qq update 2>&1 && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install -y --no-install-recommends -o Dpkg::Options::=--force-confold "$@" 2>&1); then
    say "it does not install ($(printf '%s\n' "$log" | tail -n 1)); its tests are skipped"
    return 1
  fi
}
