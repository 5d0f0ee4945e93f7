#!/usr/bin/env bash
# A Flink cluster on this machine, from nothing but Java and the artifacts of Maven, all of it on loopback addresses:
# a JobManager, two TaskManagers with a worker pool each, and Beam's job server.
#
#   scripts/flink.sh get                      fetches it into the cache, once; never fails: without Maven it says so
#   scripts/flink.sh start [OPTIONS]          starts it, and waits until jobs can be submitted
#   scripts/flink.sh stop [--folder F]        stops it; savepoints and logs stay
#   scripts/flink.sh status [--folder F]      says whether it runs, and where; 0 if it does
#   scripts/flink.sh jobs [--master M]        lists its jobs
#   scripts/flink.sh cancel JOB               stops a job at once, and confirms it
#   scripts/flink.sh drain JOB                has a job of this machine read no more, write its open windows, and end
#   scripts/flink.sh savepoint JOB [--stop]   keeps the state of a job in a savepoint, and prints its path; with --stop
#                                             the job ends then. A pipeline goes on with --savepoint_path=PATH
#
#   --folder F       where its configuration, logs and savepoints are (out/flink)
#   --master M       the JobManager of another cluster, HOST:PORT; for jobs, cancel, drain and savepoint
#   --port N         of the JobManager's page, which is --flink_master (8081)
#   --rpc-port N     for its own messages (6123)
#   --blob-port N    for its files (6124)
#   --job-port N     of Beam's job server (8099)
#   --pool-port N    of the worker pools (50000)
#   --slots N        of each TaskManager (2)
#   --heap SIZE      of each Java process (400m)
#   --python PATH    the interpreter of the workers (that of .venv)
#   --settings FILE  more settings of Flink; they win
#
# BEAM_FLINK_VERSION names another version of Beam's runner for `get` and `start`.
# 0: done. 1: it did not work, and the last line says why. 2: wrong usage. 3: there is no Java, or `get` has not run.
set -u
what=flink
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
project=${here%/*}
pom=$here/flink/pom.xml
version=${BEAM_FLINK_VERSION:-$(sed -n 's:.*<beam.version>\(.*\)</beam.version>.*:\1:p' "$pom")}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/transaction-streams
# Beam has each job bring all jars of its job server, which takes longer than all the rest of a submission, but for those
# in a folder of this name; the cluster has them all.
unstaged=gradle/wrapper
jars=$cache/flink-$version/$unstaged
patience_seconds=120
oldest_java=11
. "$here/java_server.sh"

#: In the order in which they end.
parts="job-server pool-1 pool-2 taskmanager-1 taskmanager-2 jobmanager"
# Java 17 closes what Flink and Beam look into.
opens=(--add-exports=java.base/sun.net.util=ALL-UNNAMED --add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED
  --add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED)
for package in lang net io nio lang.reflect text time util util.concurrent util.concurrent.atomic util.concurrent.locks; do
  opens+=("--add-opens=java.base/java.$package=ALL-UNNAMED")
done
opens+=(--add-opens=java.base/sun.nio.ch=ALL-UNNAMED)

# Gives the process of a part, if it runs on this folder.
running() {
  local pid
  pid=$(cat "$folder/pid/$1" 2>/dev/null) && [ -n "$pid" ] || return 1
  case $(command_line "$pid") in
    *"$folder/"*) printf '%s\n' "$pid" ;;
    *) return 1 ;;
  esac
}

all_run() {
  local part
  for part in $parts; do running "$part" >/dev/null || return 1; done
}

# Puts words into a file that the cluster's users find it by: which job server and which workers belong to it.
registration() { printf '%s\n' "$cache/flink-clusters/127.0.0.1:$1"; }

write_settings() {
  mkdir -p "$folder/conf/$unstaged" "$folder/pid" "$folder/log" "$folder/tmp" "$folder/savepoints" "$folder/checkpoints" || return 1
  printf '127.0.0.1 localhost\n' >"$folder/conf/hosts-1"
  printf '%s localhost\n' "$second_pool" >"$folder/conf/hosts-2"
  cat >"$folder/conf/flink-conf.yaml" <<END
# Written by scripts/flink.sh at each start.
jobmanager.rpc.address: 127.0.0.1
jobmanager.rpc.port: $rpc_port
jobmanager.bind-host: 127.0.0.1
taskmanager.bind-host: 127.0.0.1
taskmanager.host: 127.0.0.1
blob.server.port: $blob_port
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: $port
rest.bind-port: $port
# Nobody brings jars: jobs come by Beam's job server.
web.submit.enable: false
jobmanager.memory.process.size: 1024m
jobmanager.memory.jvm-metaspace.size: 384m
jobmanager.memory.jvm-overhead.max: 192m
taskmanager.cpu.cores: $slots
taskmanager.memory.task.heap.size: 288m
taskmanager.memory.task.off-heap.size: 64m
taskmanager.memory.framework.heap.size: 96m
taskmanager.memory.framework.off-heap.size: 64m
taskmanager.memory.network.min: 64m
taskmanager.memory.network.max: 64m
taskmanager.memory.managed.size: 64m
taskmanager.memory.jvm-metaspace.size: 384m
taskmanager.memory.jvm-overhead.min: 64m
taskmanager.memory.jvm-overhead.max: 64m
taskmanager.numberOfTaskSlots: $slots
# A job with fewer subtasks than slots has some on each TaskManager.
cluster.evenly-spread-out-slots: true
# Beam's classes are those of the cluster, not copies of them that each job brings.
classloader.resolve-order: parent-first
state.backend.type: hashmap
state.checkpoints.dir: file://$folder/checkpoints
state.savepoints.dir: file://$folder/savepoints
io.tmp.dirs: $folder/tmp
parallelism.default: 2
heartbeat.interval: 2000
heartbeat.timeout: 10000
# A branch that has ended is a region of its own: with the default, a worker that was killed was never replaced.
jobmanager.execution.failover-strategy: full
# What fails again and again, with the same records, fails for good.
restart-strategy.type: exponential-delay
restart-strategy.exponential-delay.initial-backoff: 1 s
restart-strategy.exponential-delay.max-backoff: 10 s
restart-strategy.exponential-delay.reset-backoff-threshold: 5 min
restart-strategy.exponential-delay.attempts-before-reset-backoff: 10
metrics.fetcher.update-interval: 1000
END
  [ -z "$settings" ] || cat "$settings" >>"$folder/conf/flink-conf.yaml"
}

# Starts a part in a session of its own: Ctrl-C is for what is in the foreground.
go() {
  local name=$1 apart=()
  shift
  command -v setsid >/dev/null 2>&1 && apart=(setsid)
  ${apart[@]+"${apart[@]}"} "$@" >>"$folder/log/$name.log" 2>&1 </dev/null &
  printf '%s\n' "$!" >"$folder/pid/$name"
  disown "$!" 2>/dev/null
}

# What is killed is started again, as whoever runs a cluster sees to; what ends by itself has told why.
keep='trap "kill \$child 2>/dev/null; wait \$child; exit" TERM
  while :; do "$@" & child=$!; wait $child; [ $? -gt 128 ] || exit 1; sleep 1; done'

go_java() {
  local name=$1 kept=()
  shift
  case $name in taskmanager-*) kept=(bash -c "$keep" "$folder/$name") ;; esac
  go "$name" ${kept[@]+"${kept[@]}"} java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "-Xmx$heap" -XX:MaxDirectMemorySize=256m \
    "-Djava.io.tmpdir=$folder/tmp" -Dorg.slf4j.simpleLogger.showDateTime=true \
    '-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss' "${opens[@]}" "$@"
}

is_open() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

# Gives what the JobManager answers.
ask() {
  {
    exec 3<>"/dev/tcp/127.0.0.1/$port" && printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' "$1" >&3 && cat <&3
  } 2>/dev/null
}

are_ready() {
  [ "$(ask /taskmanagers | grep -o '"id"' | wc -l)" -eq 2 ] && is_open 127.0.0.1 "$job_port" &&
    is_open 127.0.0.1 "$pool_port" && is_open "$second_pool" "$pool_port"
}

why() { grep -hE 'ERROR|Exception|Error|error' "$folder/log/$1.log" | grep -v '^[[:space:]]*at ' | tail -n 1; }

start() {
  local found begun=$SECONDS part taken
  if all_run; then
    say "runs already, on $(told)"
    return 0
  fi
  need_java
  [ -x "$python" ] || fail 3 "there is no Python at $python to run the workers with: make setup, or --python PATH"
  stop_all
  for taken in "$port --port" "$rpc_port --rpc-port" "$blob_port --blob-port" "$job_port --job-port" "$pool_port --pool-port"; do
    ! is_open 127.0.0.1 "${taken% *}" || fail 1 "port ${taken% *} of 127.0.0.1 is taken: name another one with ${taken#* }"
  done
  write_settings || fail 1 "cannot write to $folder"
  rm -f "$folder"/log/*
  # Beam's servers would listen on all interfaces.
  local main=org.apache.flink.runtime classes="$folder/conf/$unstaged/loopback.jar:$jars/*"
  taken=$(project_python -m pipelines.runtime.flink.loopback "$jars" "$folder/conf/$unstaged/loopback.jar" 2>&1) ||
    fail 1 "Beam $version cannot be kept on loopback: $taken"
  go_java jobmanager -cp "$classes" $main.entrypoint.StandaloneSessionClusterEntrypoint --configDir "$folder/conf"
  # Each TaskManager takes another address for localhost, so that each has a worker pool of its own, as on machines of
  # their own.
  for part in 1 2; do
    go_java "taskmanager-$part" "-Djdk.net.hosts.file=$folder/conf/hosts-$part" -cp "$classes" \
      $main.taskexecutor.TaskManagerRunner --configDir "$folder/conf" -D "taskmanager.resource-id=taskmanager-$part"
  done
  go_java job-server -cp "$classes" org.apache.beam.runners.flink.FlinkJobServerDriver \
    "--flink-master=127.0.0.1:$port" --job-host=127.0.0.1 "--job-port=$job_port" --artifact-port=0 --expansion-port=-1 \
    "--artifacts-dir=$folder/tmp/artifacts" "--flink-conf-dir=$folder/conf"
  pool 1 127.0.0.1
  if [ "$second_pool" != 127.0.0.1 ]; then
    pool 2 "$second_pool"
  else
    ln -sf pool-1 "$folder/pid/pool-2"
  fi
  until are_ready; do
    for part in $parts; do
      running "$part" >/dev/null && continue
      taken=$(why "$part")
      stop_all
      fail 1 "the $part does not start: $taken (all of it in $folder/log/$part.log)"
    done
    if [ $((SECONDS - begun)) -ge "$patience_seconds" ]; then
      stop_all
      fail 1 "not ready after $patience_seconds s: see $folder/log"
    fi
    sleep 0.2
  done
  mkdir -p "$cache/flink-clusters" && cat >"$(registration "$port")" <<END
job_endpoint=127.0.0.1:$job_port
environment_config=localhost:$pool_port
folder=$folder
END
  printf '%s\n' "$port" >"$folder/pid/port"
  say "runs, on $(told), after $((SECONDS - begun)) s"
}

project_python() { PYTHONPATH=$project${PYTHONPATH:+:$PYTHONPATH} "$python" "$@"; }

pool() {
  PYTHONPATH=$project${PYTHONPATH:+:$PYTHONPATH} TMPDIR=$folder/tmp go "pool-$1" \
    bash -c "$keep" "$folder/pool-$1" "$python" -m pipelines.runtime.flink.worker_pool --host "$2" --port "$pool_port" --log "$folder/log/workers-$1.log"
}

# Where users find it.
told() {
  local at
  at=$(cat "$folder/pid/port" 2>/dev/null || printf '%s' "$port")
  printf 'http://127.0.0.1:%s: --runner=FlinkRunner --flink_master=127.0.0.1:%s' "$at" "$at"
}

# Ends what runs, and removes all that is only of use while it does. Gives 1 where nothing ran.
stop_all() {
  local part pid begun=$SECONDS any=1 at
  for part in $parts; do
    pid=$(running "$part") && any=0 && kill "$pid" 2>/dev/null
  done
  for part in $parts; do
    while pid=$(running "$part"); do
      # With what it has started, which is in its session.
      [ $((SECONDS - begun)) -ge 5 ] && { kill -9 -- "-$pid" || kill -9 "$pid"; } 2>/dev/null
      sleep 0.05
    done
  done
  at=$(cat "$folder/pid/port" 2>/dev/null) && grep -qsx "folder=$folder" "$(registration "$at")" &&
    rm -f "$(registration "$at")"
  rm -rf "$folder/pid" "$folder/tmp" "$folder/checkpoints"
  return $any
}

stop() {
  if stop_all; then
    say "stopped; savepoints and logs stay in $folder"
  else
    say "does not run in $folder"
  fi
}

status() {
  local part some=
  for part in $parts; do
    if running "$part" >/dev/null; then some=yes; else say "the $part does not run"; fi
  done
  [ -n "$some" ] && say "runs, on $(told)" && return 0
  say "does not run in $folder"
  return 1
}

# Asks the JobManager by the project's own client.
client() {
  [ -x "$python" ] || fail 3 "there is no Python at $python: make setup, or --python PATH"
  [ -n "$master" ] || master=127.0.0.1:$(cat "$folder/pid/port" 2>/dev/null || printf '%s' "$port")
  PYTHONPATH=$project${PYTHONPATH:+:$PYTHONPATH} exec "$python" -m pipelines.runtime.flink.command "$command" --master "$master" "$@"
}

command=${1:-}
[ $# -gt 0 ] && shift
folder=out/flink port=8081 rpc_port=6123 blob_port=6124 job_port=8099 pool_port=50000 slots=2 heap=400m
python=$project/.venv/bin/python settings='' master='' rest=()
second_pool=127.0.0.1
[ "$(uname)" = Linux ] && second_pool=127.0.0.2
while [ $# -gt 0 ]; do
  case $1 in
    --stop) rest+=("$1") && shift && continue ;;
    --*) [ $# -ge 2 ] || fail 2 "$1 takes a value" ;;
    *) rest+=("$1") && shift && continue ;;
  esac
  case $1 in
    --folder) folder=$2 ;;
    --master) master=$2 ;;
    --port) port=$2 ;;
    --rpc-port) rpc_port=$2 ;;
    --blob-port) blob_port=$2 ;;
    --job-port) job_port=$2 ;;
    --pool-port) pool_port=$2 ;;
    --slots) slots=$2 ;;
    --heap) heap=$2 ;;
    --python) python=$2 ;;
    --settings) settings=$2 ;;
    *) fail 2 "unknown option $1" ;;
  esac
  shift 2
done
whole=
case $command in
  start) mkdir -p "$folder" && whole=$(cd "$folder" && pwd) || exit 1 ;;
  stop | status | jobs | cancel | drain | savepoint) whole=$(cd "$folder" 2>/dev/null && pwd) ;;
esac
case $command in
  get) get "-Dbeam.version=$version" ;;
  jobs | cancel | drain | savepoint)
    folder=${whole:-$folder}
    client ${rest[@]+"${rest[@]}"}
    ;;
  start | stop | status)
    [ ${#rest[@]} -eq 0 ] || fail 2 "unknown argument ${rest[0]}"
    if [ -z "$whole" ]; then
      say "does not run in $folder"
      [ "$command" = stop ]
      exit
    fi
    folder=$whole
    "$command"
    ;;
  *) fail 2 "expected get, start, stop, status, jobs, cancel, drain or savepoint, got '$command'" ;;
esac
