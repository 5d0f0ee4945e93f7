#!/usr/bin/env bash
# For scripts that run a server of Java from the artifacts of Maven. They set `what`, the first word of their lines, `pom`,
# `version` and `jars`, where the artifacts are kept, and `oldest_java`.
say() { printf '%s: %s\n' "${what:?}" "$*"; }
fail() { local code=$1; shift; printf '%s: %s\n' "${what:?}" "$*" >&2; exit "$code"; }

is_fetched() { cmp -s "$pom" "$jars/pom.xml"; }

# Fetches the artifacts, once; never fails. More options for Maven may be given.
get() {
  is_fetched && return 0
  if ! command -v java >/dev/null 2>&1 || ! command -v mvn >/dev/null 2>&1; then
    say "not fetched: it takes Java and Maven (apt-get install default-jre-headless maven); its tests are skipped"
    return 0
  fi
  local scratch log
  if ! mkdir -p "${jars%/*}" || ! scratch=$(mktemp -d "${jars%/*}/.get.XXXXXX"); then
    say "not fetched: cannot write to ${jars%/*}; its tests are skipped"
    return 0
  fi
  # shellcheck disable=SC2064
  trap "rm -rf '$scratch'" EXIT
  say "fetching $version with Maven, once"
  if log=$(mvn -B -q -f "$pom" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$scratch" "$@" 2>&1) &&
    cp "$pom" "$scratch/pom.xml" && rm -rf "$jars" && mv "$scratch" "$jars"; then
    say "ready in $jars"
  elif is_fetched; then # by somebody else, meanwhile
    return 0
  else
    say "not fetched: $(printf '%s\n' "$log" | grep -m 1 ERROR || echo "cannot write to $jars"); its tests are skipped"
  fi
}

# Gives the version of Java: 17.0.15, say; nothing where there is none.
java_version() { java -version 2>&1 | sed -n 's/.*version "\([0-9][^" ]*\)".*/\1/p' | head -n 1; }

# Puts the version of Java into `found`; ends the script where it cannot be started.
need_java() {
  found=$(java_version)
  [ -n "$found" ] || fail 3 "there is no Java here to run it with (apt-get install default-jre-headless)"
  local major=${found%%[!0-9]*}
  [ "$major" -ge "$oldest_java" ] || fail 3 "it takes Java $oldest_java or newer, and here is $major"
  is_fetched || fail 3 "not fetched yet: scripts/$what.sh get"
}

# Gives the command line of a process: nothing if it has ended, even where nobody has taken notice of that yet.
command_line() {
  if [ -d /proc/self ]; then
    tr '\0' ' ' <"/proc/$1/cmdline"
  else
    ps -ww -o args= -p "$1"
  fi 2>/dev/null
}
