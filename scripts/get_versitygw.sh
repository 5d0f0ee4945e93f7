#!/usr/bin/env bash
# Builds versitygw, an S3 server whose buckets are folders, with Go, and puts it where the tests look for it.
#
#   scripts/get_versitygw.sh
#
# It never fails: the tests of object stores are skipped without it.
set -u
version=v1.8.0
folder=${XDG_CACHE_HOME:-$HOME/.cache}/transaction-streams/versitygw-$version

say() { printf 'versitygw: %s\n' "$*"; }

if [ -x "$folder/versitygw" ]; then
  exit 0
fi
if ! command -v go >/dev/null 2>&1; then
  say "no Go here to build it with; the tests of object stores are skipped"
  exit 0
fi
say "building $version, once, in about a minute"
if ! mkdir -p "$folder" || ! scratch=$(mktemp -d "$folder/.build.XXXXXX"); then
  say "cannot write to $folder; the tests of object stores are skipped"
  exit 0
fi
trap 'rm -rf "$scratch"' EXIT
trap 'exit 0' INT TERM
GOBIN=$scratch go install -ldflags='-s -w' "github.com/versity/versitygw/cmd/versitygw@$version" >"$scratch/log" 2>&1
if [ -x "$scratch/versitygw" ] && mv -f "$scratch/versitygw" "$folder/versitygw"; then # the same folder, so a rename
  say "ready in $folder"
else
  say "the build failed ($(tail -n 1 "$scratch/log")); the tests of object stores are skipped"
fi
exit 0
