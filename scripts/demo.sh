#!/usr/bin/env bash
# Installs what is missing, builds, and runs framemill on the shipped clip with the shipped model.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh build
cmake --preset release >/dev/null
cmake --build --preset release --target framemill

out=out/demo
rm -rf "$out"
mkdir -p "$out"
echo
echo "demo: the clip as a live camera, ten answers a second, for its 20 seconds"
build/release/framemill run --source demo/clips/line.mp4 --model demo/models/line_int8.onnx \
  --pace live --rate 10 --slo 400ms --results "$out/results.jsonl" --summary "$out/summary.json" \
  --snapshot "$out,every=5s" --listen off
echo
echo "demo: what it found, against the truth that the clip was drawn from"
python3 demo/score.py demo/clips/line_truth.jsonl "$out/results.jsonl"
echo
echo "answers:  $out/results.jsonl    (one line for each sampled frame)"
echo "summary:  $out/summary.json"
echo "picture:  $out/line.jpg"
