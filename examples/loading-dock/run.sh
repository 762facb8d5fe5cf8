#!/usr/bin/env bash
# A camera with zones, a line and rules for a few seconds; its alarms end in a database, in a file and on Modbus.   run.sh [FRAMEMILL] [OUTPUT FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
framemill=${1:-$here/../../build/release/framemill}
out=${2:-$here/../../out/loading-dock}
mkdir -p "$out"
# Where things go depends on who runs it, so it is added here; a real site writes it into its site.yaml.
{
  sed "s|: \.\./\.\./demo|: $here/../../demo|" "$here/site.yaml" | sed "s|^engine: {|engine: {data: data, |"
  echo "sinks:"
  echo "  - {type: sqlite, path: events.db, keep: 720h}"
  echo "  - {type: jsonl, path: alarms.jsonl, send: alarms}"
  echo "  - {type: modbus, listen: \"127.0.0.1:${MODBUS_PORT:-1502}\", map: register-map.md}"
} | sed "s|path: \.\./\.\./|path: $here/../../|" > "$out/site.yaml"
"$framemill" run "$out/site.yaml" --for 10s --results "$out/results.jsonl" --summary "$out/summary.json" --listen off
cat "$out/alarms.jsonl"
