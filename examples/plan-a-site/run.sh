#!/usr/bin/env bash
# Which hardware would this site need?   run.sh [FRAMEMILL] [OUTPUT FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
framemill=${1:-$here/../../build/release/framemill}
out=${2:-$here/../../out/plan-a-site}
mkdir -p "$out"
"$framemill" plan "$here/site.yaml"
"$framemill" plan "$here/site.yaml" --format md > "$out/hardware.md"
"$framemill" plan "$here/site.yaml" --format csv > "$out/hardware.csv"
