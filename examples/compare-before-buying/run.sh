#!/usr/bin/env bash
# What saving inference would cost on this footage.   run.sh [FRAMEMILL] [OUTPUT FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
framemill=${1:-$here/../../build/release/framemill}
out=${2:-$here/../../out/compare-before-buying}
demo=$here/../../demo
"$framemill" compare --source "$demo/clips/line.mp4,every=2" --model "$demo/models/line_int8.onnx" \
  --policies hold,similarity,adaptive --budgets 0.5,0.2,0.1 --similarities 0.95,0.99 --out "$out"
