#!/usr/bin/env bash
# Builds Prism, the runner that live streams need, with Go, and puts it where pipelines/runtime/prism.py looks first.
#
#   scripts/get_prism.sh [PYTHON]     PYTHON is the interpreter that has apache_beam; .venv/bin/python by default
#
# Prism as it comes listens on all interfaces and asks nobody who they are. So a few lines of it are changed: this one
# listens on the Unix socket that PRISM_SOCKET names, and without that variable on 127.0.0.1.
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

# The same name is in pipelines/runtime/prism.py; its number counts the changes that are made here.
folder=$HOME/.apache_beam/cache/prism/bin
name=transaction-streams-prism-v$version-1-$os-$arch
if [ -x "$folder/$name" ]; then
  exit 0
fi
if ! command -v go >/dev/null 2>&1; then
  say "no Go here to build it with; Beam downloads one when a live stream first needs it, and others can reach that one"
  exit 0
fi

# Replaces a text that has to be there once: change FILE OLD NEW
change() {
  [ "$(grep -cF -- "$2" "$1")" = 1 ] || { echo "$1 has changed: expected once: $2"; return 1; }
  sed -i.before "s|$(printf '%s' "$2" | sed 's/[]["*.^$]/\\&/g')|$3|" "$1" && rm "$1.before"
}

build() {
  set -e
  cd "$scratch"
  export GOWORK=off GOFLAGS="${GOFLAGS:-} -mod=mod"
  go mod download "github.com/apache/beam/sdks/v2@v$version"
  module=$(go mod download -json "github.com/apache/beam/sdks/v2@v$version" | sed -n 's/.*"Dir": "\(.*\)",.*/\1/p')
  cp -r "$module/go" "$module/go.mod" "$module/go.sum" .
  chmod -R u+w .
  prism=go/pkg/beam/runners/prism/internal
  change $prism/jobservices/server.go 'net.Listen("tcp", fmt.Sprintf(":%d", port))' 'worker.Listen(port)'
  change $prism/jobservices/server.go '_, port, _ := net.SplitHostPort(s.lis.Addr().String())' 'address := worker.Address(s.lis)'
  change $prism/jobservices/server.go 'fmt.Sprintf("localhost:%v", port)' 'address'
  change $prism/worker/worker.go '_, p, _ := net.SplitHostPort(lis.Addr().String())' 'address := Address(lis)'
  change $prism/worker/worker.go 'endpoint: "localhost:" + p,' 'endpoint: address,'
  cat >$prism/worker/listen.go <<'END'
package worker

import (
	"fmt"
	"net"
	"os"
)

// Listen opens the Unix socket that PRISM_SOCKET names or, without that, a port that only this machine can reach.
func Listen(port int) (net.Listener, error) {
	if path := os.Getenv("PRISM_SOCKET"); path != "" {
		return net.Listen("unix", path)
	}
	return net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
}

// Address is what clients dial.
func Address(listener net.Listener) string {
	if listener.Addr().Network() == "unix" {
		return "unix:" + listener.Addr().String()
	}
	return listener.Addr().String()
}
END
  go build -ldflags='-s -w' -o prism ./go/cmd/prism
}

say "building $version with $(go version | cut -d' ' -f3), once, in about two minutes"
if ! mkdir -p "$folder" || ! scratch=$(mktemp -d "$folder/.build.XXXXXX"); then
  say "cannot write to $folder; Beam tries to download it when a live stream first needs it"
  exit 0
fi
trap 'rm -rf "$scratch"' EXIT
trap 'exit 0' INT TERM
(build) >"$scratch/log" 2>&1
if [ -x "$scratch/prism" ] && mv -f "$scratch/prism" "$folder/$name"; then # the same folder, so a rename
  say "ready in $folder"
else
  say "the build failed ($(tail -n 1 "$scratch/log")); Beam tries to download it when a live stream first needs it"
fi
exit 0
