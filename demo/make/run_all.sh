#!/usr/bin/env bash
# Makes everything in demo/models and demo/clips again: pictures, training, export, clip, figures.
#   demo/make/run_all.sh [CACHE]      about 35 minutes on two idle cores; CACHE needs 3 GB and is kept
# Needs Python 3.11 with requirements.txt installed and, for the clip, ffmpeg with libx264.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${1:-${TMPDIR:-/tmp}/framemill-demo-cache}
python=${PYTHON:-python3}
cd "$here"

"$python" -m unittest -q
for split in held_out:60 tuning:20 training:600; do
  name=${split%%:*}
  [ -f "$cache/${name}_labels.json" ] || "$python" dataset.py --cache "$cache" --split "$name" --scenes "${split##*:}"
done
"$python" train.py --cache "$cache" --steps 600 --batch 16 --height 384 --seed 1 --out "$cache/first.pt"
"$python" train.py --cache "$cache" --steps 1700 --seed 2 --begin "$cache/first.pt" --out "$cache/line.pt"
"$python" export.py --cache "$cache" --weights "$cache/line.pt" --out ../models
"$python" clip.py --out ../clips
"$python" check_models.py --models ../models
for model in line_fp32 line_int8; do
  for runtime in onnxruntime openvino; do
    echo "== $model, $runtime"
    "$python" measure.py --cache "$cache" --model "../models/$model.onnx" --runtime "$runtime"
  done
  "$python" check_clip.py --model "../models/$model.onnx" --clip ../clips/line.mp4 --out "$cache/$model.jsonl"
  "$python" ../score.py ../clips/line_truth.jsonl "$cache/$model.jsonl" --recall 0.9 --precision 0.9
  "$python" check_clip.py --model "../models/$model.onnx" --clip ../clips/line.mp4 --out "$cache/$model.jsonl" --every 3
  "$python" ../score.py ../clips/line_truth.jsonl "$cache/$model.jsonl" --recall 0.9 --precision 0.9
done
