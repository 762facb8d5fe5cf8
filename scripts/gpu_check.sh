#!/usr/bin/env bash
# Checks and measures framemill on an NVIDIA GPU, in under nine minutes; docs/gpu.md says what it does and what it found last.
#   scripts/gpu_check.sh [--out DIR] [--device cuda:0] [--budget S] [--only PARTS]    here, with what scripts/setup.sh gpu installed
#   scripts/gpu_check.sh --cpu                 the same steps with the processor and an emulated device: the test of this script
#   scripts/gpu_check.sh pack DIR [--bare]     everything for a machine without network, in pieces of 46 MB: DIR/piece-*/;
#                                              --bare leaves out CUDA's libraries, for a machine that has PyTorch's
#                                              FRAMEMILL_GPU_SM=90 packs code for devices of that compute capability alone;
#                                              FRAMEMILL_GPU_MODELS names a folder of more models (*fp16*.onnx) to take along
#   scripts/gpu_check.sh stage PIECE           there, once for each piece: puts it aside
#   scripts/gpu_check.sh --bundle              there: joins the pieces and checks with what is in them
# Exit status: 0 all that was checked is right, 1 something is not, 2 cannot run.
set -euo pipefail
cd "$(dirname "$0")/.."
stage=${FRAMEMILL_GPU_STAGE:-/tmp/framemill_gpu}

build() {  # build KIND: the program, and for --cpu the emulated device
  scripts/setup.sh "$1" >&2
  cmake --preset release >/dev/null
  local targets=(framemill device_inference)
  [ "$1" = gpu ] || targets+=(emulated_cuda emulated_nvrtc)
  cmake --build --preset release --target "${targets[@]}" >&2
}

# pack DIR [--bare]: the program with the libraries that it names, but for those of the C and C++ runtime, which a newer machine has
# better; ONNX Runtime; models and clips.
pack() {
  local out=$1 bare=${2:-}
  [ -n "${FRAMEMILL_BUILT:-}" ] || build gpu
  work=$(mktemp -d)  # not local: the trap needs it at the end
  trap 'rm -rf "$work"' EXIT
  local root=$work/bundle
  mkdir -p "$root"/{lib,models,clips,site/onnxruntime/capi,site/nvidia/cuda/lib}
  strip -o "$root/framemill" build/release/framemill
  strip -o "$root/device_inference" build/release/tests/perf/device_inference
  ldd build/release/framemill | awk '$3 ~ /^\// {print $3}' |
    grep -Ev '/(ld-linux[^/]*|lib(c|m|dl|rt|pthread|resolv|stdc\+\+|gcc_s))\.(so|so\..*)$' | xargs cp -L -t "$root/lib"
  cp .deps/onnxruntime-gpu/libonnxruntime*.so* "$root/site/onnxruntime/capi"
  [ -z "${FRAMEMILL_GPU_SM:-}" ] || /usr/bin/python3 scripts/trim_fatbin.py "$root/site/onnxruntime/capi/libonnxruntime_providers_cuda.so" "$FRAMEMILL_GPU_SM"
  [ "$bare" = --bare ] || find .deps/onnxruntime-gpu -name '*.so*' ! -name 'libonnxruntime*' -exec cp -t "$root/site/nvidia/cuda/lib" {} +
  cp demo/models/line_fp32.onnx "$root/models"
  cp demo/clips/line.mp4 "$root/clips"
  local data=../shared/testdata name
  for name in yolo11n_640_fp32 yolov12n_rmcar_640_fp32 rect/yolo11n_640x384_fp32; do
    [ ! -e "$data/models/$name.onnx" ] || cp "$data/models/$name.onnx" "$root/models"
  done
  for name in industrial_bottles_shelf_intel motorway_tunnel_federico motorway_svincolo_federico crossing_1080p_thanglm20; do
    [ ! -e "$data/clips/$name.mp4" ] || cp "$data/clips/$name.mp4" "$root/clips"
  done
  # FP16 models and others of one's own.
  [ -z "${FRAMEMILL_GPU_MODELS:-}" ] || cp "$FRAMEMILL_GPU_MODELS"/*.onnx "$root/models"
  ls "$root"/models/*fp16*.onnx >/dev/null 2>&1 ||
    echo "gpu_check: no FP16 model is packed (FRAMEMILL_GPU_MODELS names a folder of those that framemill prepare makes): FP32 will be measured" >&2
  tar -C "$work" -cf - bundle | gzip -6 | split -b 46M -d -a 3 - "$work/part-"
  rm -rf "$out"/piece-*
  for name in "$work"/part-*; do
    mkdir -p "$out/piece-${name##*-}"
    mv "$name" "$out/piece-${name##*-}/part"
  done
  (cd "$out" && sha256sum piece-*/part > sums && for name in piece-*; do cp sums "$name/"; done)
  echo "gpu_check: $(ls -d "$out"/piece-* | wc -l) pieces in $out; stage each there, then run scripts/gpu_check.sh --bundle"
}

stage_piece() {
  mkdir -p "$stage/$(basename "$1")"
  cp "$1"/part "$1"/sums "$stage/$(basename "$1")/"
  echo "gpu_check: $(basename "$1") is staged; $(ls "$stage" | grep -c '^piece-') of $(wc -l < "$1/sums") are there"
}

# unbundle: sets `bundle` to the folder with what is in the pieces. It bears the name of their sums, and gets it once it is whole, so
# that neither an older pack's content nor half of one is taken for it.
unbundle() {
  local sums
  sums=$(ls -d "$stage"/piece-* 2>/dev/null | head -1)/sums || true
  [ -e "$sums" ] || { echo "gpu_check: no pieces in $stage; stage them first" >&2; exit 2; }
  (cd "$stage" && sha256sum --quiet -c "$sums") >&2 || { echo "gpu_check: a piece is missing or damaged, or of another pack" >&2; exit 2; }
  bundle=$stage/bundle-$(sha256sum < "$sums" | cut -c1-16)
  if [ ! -d "$bundle" ]; then
    rm -rf "$stage"/unpacking "$stage"/bundle "$stage"/bundle-*
    mkdir "$stage/unpacking"
    # Those of the list alone: pieces of a larger pack may lie beside them.
    (cd "$stage" && awk '{print $2}' "$sums" | xargs cat) | tar -C "$stage/unpacking" -xzf - ||
      { echo "gpu_check: what the pieces hold cannot be unpacked; is there room in $stage?" >&2; exit 2; }
    mv "$stage/unpacking/bundle" "$bundle"
    rmdir "$stage/unpacking"
  fi
  # What was left out is PyTorch's.
  local torch
  torch=$(python3 -c 'import os, nvidia; print(list(nvidia.__path__)[0])' 2>/dev/null || true)
  [ -z "$torch" ] || for folder in "$torch"/*/; do
    [ -e "$bundle/site/nvidia/$(basename "$folder")" ] || ln -s "$folder" "$bundle/site/nvidia/"
  done
}

case "${1:-}" in
  pack) [ $# -ge 2 ] || { echo "gpu_check: pack needs a folder" >&2; exit 2; }; pack "$2" "${3:-}"; exit ;;
  stage) [ -e "${2:-}/part" ] || { echo "gpu_check: \"${2:-}\" is no piece" >&2; exit 2; }; stage_piece "$2"; exit ;;
esac
kind=gpu
rest=()
for word in "$@"; do
  case "$word" in
    --bundle) kind=bundle ;;
    --cpu) kind=build; rest+=(--cpu) ;;
    *) rest+=("$word") ;;
  esac
done
if [ "$kind" = bundle ]; then
  unbundle
  export FRAMEMILL_ONNXRUNTIME=$bundle/site
  exec python3 scripts/gpu_check.py --framemill "$bundle/framemill" --libraries "$bundle/lib" \
    --models "$bundle/models" --clips "$bundle/clips" "${rest[@]}"
fi
[ -n "${FRAMEMILL_BUILT:-}" ] || build "$kind"
exec python3 scripts/gpu_check.py --framemill "${FRAMEMILL_BIN:-build/release/framemill}" "${rest[@]}"
