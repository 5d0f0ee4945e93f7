#!/usr/bin/env bash
# Puts Prism, the runner that live streams need, where Beam looks for it, by building it with Go.
#
#   scripts/get_prism.sh [PYTHON]     PYTHON is the interpreter that has apache_beam; .venv/bin/python by default
#
# It never fails: a replay of files runs without Prism, and where there is no Go, Beam downloads it at first use.
set -u
python=${1:-.venv/bin/python}

say() { printf 'prism: %s\n' "$*"; }

version=$("$python" -c 'import importlib.metadata as m; print(m.version("apache-beam"))' 2>/dev/null)
if [ -z "$version" ]; then
  say "$python has no apache_beam, so there is nothing to get it for"
  exit 0
fi

os=$(uname -s | tr '[:upper:]' '[:lower:]')
case $(uname -m) in
  x86_64 | amd64) arch=amd64 ;;
  arm64 | aarch64) arch=arm64 ;;
  *)
    say "Beam knows no Prism for $(uname -m); live streams need another runner"
    exit 0
    ;;
esac

# Beam takes a file of this name for its own download. One that is no zip archive is run as it is.
folder=$HOME/.apache_beam/cache/prism/bin
name=apache_beam-v$version-prism-$os-$arch
if [ -s "$folder/$name.zip" ]; then
  exit 0
fi
if ! command -v go >/dev/null 2>&1; then
  say "no Go here to build it with; Beam downloads it when a live stream first needs it"
  exit 0
fi

say "building $version with $(go version | cut -d' ' -f3), once, in about two minutes"
if ! mkdir -p "$folder" || ! scratch=$(mktemp -d "$folder/.build.XXXXXX"); then
  say "cannot write to $folder; Beam tries to download it when a live stream first needs it"
  exit 0
fi
trap 'rm -rf "$scratch"' EXIT
trap 'exit 0' INT TERM
if (cd "$scratch" && GOBIN=$scratch GOWORK=off GOFLAGS="${GOFLAGS:-} -mod=mod" \
  go install "github.com/apache/beam/sdks/v2/go/cmd/prism@v$version" >"$scratch/log" 2>&1) &&
  chmod 755 "$scratch/prism" && mv -f "$scratch/prism" "$folder/$name.zip"; then # the same folder, so a rename
  say "ready in $folder"
else
  say "the build failed ($(tail -n 1 "$scratch/log")); Beam tries to download it when a live stream first needs it"
fi
exit 0
