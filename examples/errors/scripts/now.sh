#!/bin/sh
# Responses of now, ten a second for three seconds: every fifth is an error, each of another visitor.
number=0
while [ "$number" -lt 30 ]; do
  status=$((number % 5 ? 200 : 500))
  printf '{"time":"%s","ip":"10.0.0.%d","status_code":%d}\n' "$(date -u '+%Y-%m-%d %H:%M:%S')" "$number" "$status"
  number=$((number + 1))
  sleep 0.1
done
