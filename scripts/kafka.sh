#!/usr/bin/env bash
# A Kafka broker on this machine, from nothing but Java and the artifacts of Maven: one node, on 127.0.0.1 only.
#
#   scripts/kafka.sh get                  fetches it into the cache, once; never fails: without Maven it says so
#   scripts/kafka.sh start [OPTIONS]      starts it, and waits until it takes connections
#   scripts/kafka.sh stop [--folder F]    stops it, and keeps its messages
#   scripts/kafka.sh status [--folder F]  says whether it runs; 0 if it does
#
#   --folder F           where its messages, settings and log are (out/kafka)
#   --port N             for clients that say nothing of themselves (9092)
#   --controller-port N  for itself (9093)
#   --sasl-port N        for the user demo with the password demo-secret, by SCRAM (9094)
#   --heap SIZE          of the Java process (256m)
#   --settings FILE      more settings of the broker; they win
#
# 0: done. 1: it did not work, and the last line says why. 2: wrong usage. 3: there is no Java, or `get` has not run.
set -u
what=kafka
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
pom=$here/kafka/pom.xml
version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$pom")
jars=${XDG_CACHE_HOME:-$HOME/.cache}/transaction-streams/kafka-$version
patience_seconds=120
oldest_java=17

. "$here/java_server.sh"

# Gives the process that runs on this folder, if there is one.
running() {
  local pid
  pid=$(cat "$folder/pid" 2>/dev/null) && [ -n "$pid" ] || return 1
  case $(command_line "$pid") in
    *" kafka.Kafka $folder/server.properties"*) printf '%s\n' "$pid" ;;
    *) return 1 ;;
  esac
}

write_settings() {
  cat >"$folder/server.properties" <<END
# Written by scripts/kafka.sh at each start.
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller_port
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$port,SASL://127.0.0.1:$sasl_port,CONTROLLER://127.0.0.1:$controller_port
advertised.listeners=PLAINTEXT://127.0.0.1:$port,SASL://127.0.0.1:$sasl_port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
log.dirs=$folder/data
# Messages stay until the folder is removed, however old the times are that they tell.
log.retention.ms=-1
num.partitions=4
auto.create.topics.enable=true
# One node, so one copy of everything.
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
END
  if [ -n "$settings" ]; then
    printf '\n' && cat "$settings" || return 1
  fi >>"$folder/server.properties"
}

# What it says in its log since the byte that it had when this start began.
new_log() { tail -c "+$((logged + 1))" "$folder/log" 2>/dev/null; }

why() { new_log | grep -E 'ERROR|Exception|Error' | grep -v '^[[:space:]]*at ' | tail -n 1; }

start() {
  local pid found logged=0 begun=$SECONDS password=demo-secret
  if pid=$(running); then
    say "runs already, process $pid, on $(listeners)"
    return 0
  fi
  need_java
  write_settings || fail 1 "cannot write to $folder"
  local options=(-XX:+UseSerialGC -XX:TieredStopAtLevel=1 "-Xmx$heap" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn
    -Dorg.slf4j.simpleLogger.showDateTime=true '-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss'
    -cp "$jars/*")
  # Classes as this Java had them in memory: the first broker to stop leaves them beside the jars, and later ones start in
  # half the time. Java does without where they do not fit, and has nothing to say of it.
  local classes=classes-$found.jsa leaving=()
  options+=(-Xlog:disable -Xlog:all=error:stderr)
  # Over some, such as those of a full disk, it would rather crash, so it is tried.
  if [ -r "$jars/$classes" ] && ! java "-XX:SharedArchiveFile=$jars/$classes" -XX:ErrorFile=/dev/null \
    -XX:-CreateCoredumpOnCrash "${options[@]}" -version >/dev/null 2>&1; then
    rm -f "$jars/$classes"
  fi
  if [ -r "$jars/$classes" ]; then
    options+=("-XX:SharedArchiveFile=$jars/$classes")
  elif [ -w "$jars" ]; then
    leaving=("-XX:ArchiveClassesAtExit=$folder/$classes")
  fi
  if [ ! -e "$folder/data/meta.properties" ]; then
    java "${options[@]}" -Dorg.slf4j.simpleLogger.defaultLogLevel=error kafka.tools.StorageTool format \
      -t "transaction-streams-01" -c "$folder/server.properties" \
      --add-scram "SCRAM-SHA-256=[name=demo,password=$password]" \
      --add-scram "SCRAM-SHA-512=[name=demo,password=$password]" 2>"$folder/log" >/dev/null ||
      fail 1 "cannot be set up: $(why || true) (all of it in $folder/log)"
  fi
  [ -e "$folder/log" ] && logged=$(wc -c <"$folder/log")
  # A session of its own: Ctrl-C is for what is in the foreground.
  local apart=()
  command -v setsid >/dev/null 2>&1 && apart=(setsid)
  ${apart[@]+"${apart[@]}"} java "${options[@]}" ${leaving[@]+"${leaving[@]}"} \
    -Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info kafka.Kafka "$folder/server.properties" >>"$folder/log" 2>&1 </dev/null &
  pid=$!
  printf '%s\n' "$pid" >"$folder/pid"
  while ! new_log | grep -q 'Kafka Server started'; do
    if ! kill -0 "$pid" 2>/dev/null; then
      rm -f "$folder/pid"
      fail 1 "does not start: $(why) (all of it in $folder/log)"
    fi
    if [ $((SECONDS - begun)) -ge "$patience_seconds" ]; then
      kill -9 "$pid" 2>/dev/null
      rm -f "$folder/pid"
      fail 1 "not ready after $patience_seconds s: see $folder/log"
    fi
    sleep 0.1
  done
  disown "$pid" 2>/dev/null
  say "runs, process $pid, on $(listeners)"
}

# Where clients find it, as the settings say that count.
listeners() { sed -n 's/^advertised.listeners=//p' "$folder/server.properties" | tail -n 1 | sed 's/,/, /g'; }

# Puts the classes that a broker has left beside the jars, whole or not at all.
keep_classes() {
  local left
  for left in "$folder"/classes-*.jsa; do
    [ -f "$left" ] && cp "$left" "$jars/.classes.$$" && mv -f "$jars/.classes.$$" "$jars/${left##*/}"
  done 2>/dev/null
  rm -f "$folder"/classes-*.jsa "$jars/.classes.$$"
}

stop() {
  local pid begun=$SECONDS
  if ! pid=$(running); then
    say "does not run in $folder"
    return 0
  fi
  kill "$pid" 2>/dev/null
  while running >/dev/null; do
    [ $((SECONDS - begun)) -ge "$patience_seconds" ] && kill -9 "$pid" 2>/dev/null && rm -f "$folder"/classes-*.jsa
    sleep 0.1
  done
  rm -f "$folder/pid"
  keep_classes
  say "stopped; its messages stay in $folder"
}

status() {
  local pid
  if pid=$(running); then
    say "runs, process $pid, on $(listeners)"
    return 0
  fi
  say "does not run in $folder"
  return 1
}

command=${1:-}
[ $# -gt 0 ] && shift
folder=out/kafka port=9092 controller_port=9093 sasl_port=9094 heap=256m settings=
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || fail 2 "$1 takes a value"
  case $1 in
    --folder) folder=$2 ;;
    --port) port=$2 ;;
    --controller-port) controller_port=$2 ;;
    --sasl-port) sasl_port=$2 ;;
    --heap) heap=$2 ;;
    --settings) settings=$2 ;;
    *) fail 2 "unknown option $1" ;;
  esac
  shift 2
done
case $command in
  get) get ;;
  start | stop | status)
    [ "$command" = start ] && { mkdir -p "$folder" || exit 1; }
    if ! whole=$(cd "$folder" 2>/dev/null && pwd); then
      say "does not run in $folder"
      [ "$command" = stop ]
      exit
    fi
    folder=$whole
    "$command"
    ;;
  *) fail 2 "expected get, start, stop or status, got '$command'" ;;
esac
