#!/usr/bin/env bash
# Makes a virtual environment with a Python that is new enough, and says what is wrong in one line where it cannot.
#
#   scripts/make_venv.sh FOLDER [PYTHON]
set -u
folder=$1
oldest=3.10

is_new_enough() { "$1" -c "import sys; sys.exit(sys.version_info < (${oldest/./, }))" >/dev/null 2>&1; }

python=
for candidate in ${2:-python3.11 python3 python python3.12 python3.13 python3.10}; do
  if is_new_enough "$candidate"; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "no Python $oldest or newer found (tried: ${2:-python3.11, python3, python}); name one: make PYTHON=/path/to/python3" >&2
  exit 1
fi
if ! log=$("$python" -m venv "$folder" 2>&1); then
  rm -rf "$folder"
  case $log in
    *ensurepip*) echo "$python cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv" >&2 ;;
    *) printf '%s -m venv failed: %s\n' "$python" "$(printf '%s\n' "$log" | tail -n 1)" >&2 ;;
  esac
  exit 1
fi
