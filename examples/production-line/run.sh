#!/usr/bin/env bash
# Two live cameras for a few seconds: answers, summary and a picture of each.   run.sh [FRAMEMILL] [OUTPUT FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
framemill=${1:-$here/../../build/release/framemill}
out=${2:-$here/../../out/production-line}
mkdir -p "$out"
"$framemill" run "$here/site.yaml" --for 8s --results "$out/results.jsonl" --summary "$out/summary.json" --snapshot "$out,every=2s" --listen off
