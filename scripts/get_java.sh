#!/usr/bin/env bash
# Brings Java and Maven, which the Kafka broker of the tests needs: from the packages of Debian and Ubuntu.
#
# It never fails: where they cannot be installed, those tests are skipped, and say so.
set -u
what=java
. "$(dirname "$0")/packages.sh"

if command -v java >/dev/null 2>&1 && command -v mvn >/dev/null 2>&1; then
  exit 0
fi
can_install default-jre-headless maven || exit 0
install default-jre-headless maven && say "ready: $(java -version 2>&1 | head -n 1)"
exit 0
