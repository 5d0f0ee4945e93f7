#!/usr/bin/env bash
# Brings Chromium, in which the tests look at the live page: from the packages of Debian and Ubuntu.
#
# It never fails: where it cannot be installed, those tests are skipped, and say so.
set -u
what=chromium
. "$(dirname "$0")/packages.sh"

for name in chromium chromium-browser google-chrome; do
  command -v "$name" >/dev/null 2>&1 && exit 0
done
can_install chromium || exit 0
install chromium && say "ready: $(chromium --version 2>/dev/null)"
exit 0
