#!/usr/bin/env bash
# Recorded files as fast as they can be read, a fifth of the frames inferred.   run.sh [FRAMEMILL] [OUTPUT FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
framemill=${1:-$here/../../build/release/framemill}
out=${2:-$here/../../out/recorded-files}
demo=$here/../../demo
mkdir -p "$out"
"$framemill" run --source "$demo/clips/line.mp4,every=2" --model "$demo/models/line_int8.onnx" --policy hold --budget 0.2 \
  --results "$out/results.jsonl" --summary "$out/summary.json" --listen off
python3 "$demo/score.py" "$demo/clips/line_truth.jsonl" "$out/results.jsonl"
