#!/usr/bin/env bash
# Installs what framemill is built and tested with, on Debian 12. Idempotent: quick when all is there.
#   scripts/setup.sh          packages for building, running and testing
#   scripts/setup.sh build    only those for building and running
#   scripts/setup.sh fuzz     all, and what tests/fuzz/api_fuzz.py and tests/perf/http_load.py need
#   scripts/setup.sh gpu      those for building, and ONNX Runtime's libraries for NVIDIA's GPUs (2.6 GB)
set -euo pipefail
cd "$(dirname "$0")/.."

build_packages=(
  ca-certificates g++ cmake ninja-build ccache pkg-config git python3 python3-pip unzip
  libavformat-dev libavcodec-dev libavutil-dev libswscale-dev libavdevice-dev
  libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev libopencv-video-dev
  libboost1.81-dev libcli11-dev libyaml-cpp-dev libfmt-dev libspdlog-dev nlohmann-json3-dev
  libgtest-dev libgmock-dev
  libsqlite3-dev libpaho-mqtt-dev libcurl4-openssl-dev libssl-dev libmodbus-dev libpq-dev librdkafka-dev
  dpkg-dev file
  libpugixml-dev
)
test_packages=(
  chromium ffmpeg python3-gi python3-venv python3-numpy python3-yaml prometheus gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base
  gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav
  sqlite3 mosquitto python3-paho-mqtt python3-pymodbus python3-serial-asyncio openssl postgresql-15
  lintian systemd docker-compose
)
# The dashboard is bundled by node; another one in PATH than Debian's will do.
command -v npm >/dev/null || build_packages+=(nodejs npm)
wanted=("${build_packages[@]}")
case "${1:-all}" in build | gpu) ;; *) wanted+=("${test_packages[@]}") ;; esac
[ "${1:-all}" = fuzz ] && wanted+=(wrk)

missing=()
for package in "${wanted[@]}"; do
  dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  run_as_root=()
  [ "$(id -u)" = 0 ] || run_as_root=(sudo)
  echo "setup: installing ${missing[*]}"
  "${run_as_root[@]}" apt-get update -qq
  "${run_as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
chmod 755 "$scratch"  # apt downloads as a user of its own

# fetch_wheels REQUIREMENTS: the wheels that it pins by version and hash, into $scratch/wheels.
fetch_wheels() {
  rm -rf "$scratch/wheels"
  /usr/bin/python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --python-version 3.11 --implementation cp --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 \
    --platform manylinux_2_17_x86_64 --platform manylinux_2_12_x86_64 --platform manylinux1_x86_64 --require-hashes \
    --dest "$scratch/wheels" -r "$1"
}

# fetch_onnxruntime_headers FOLDER: from Debian's package of a later release, which is unpacked and not
# installed. The mirror is the one that this machine's own packages come from.
fetch_onnxruntime_headers() {
  local mirror version hash package=libonnxruntime-dev
  while read -r version hash; do
    for mirror in $(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | sort -u); do
      if /usr/lib/apt/apt-helper download-file \
        "${mirror%/}/pool/main/o/onnxruntime/${package}_${version}_amd64.deb" "$scratch/headers.deb" "SHA256:$hash" \
        >"$scratch/apt.log" 2>&1; then
        echo "setup: headers of ONNX Runtime from $package $version"
        rm -rf "$scratch/headers"
        dpkg-deb -x "$scratch/headers.deb" "$scratch/headers"
        mkdir -p "$1"
        cp -r "$scratch"/headers/usr/include/onnxruntime/. "$1"
        cp "$scratch/headers/usr/share/doc/$package/copyright" "$1"
        return 0
      fi
    done
  done < <(grep -v '^#' scripts/onnxruntime_headers.txt)
  cat "$scratch/apt.log" >&2
  echo "setup: no mirror of this machine serves a version of scripts/onnxruntime_headers.txt; add the one that Debian has now" >&2
  return 1
}

# OpenVINO comes as a Python wheel which holds headers, libraries and CMake files; nothing of Python
# is used. scripts/openvino.txt pins its version and hash.
pin=$(sha256sum scripts/openvino.txt | cut -c1-16)
if [ "$(cat .deps/openvino.pin 2>/dev/null)" != "$pin" ] || [ ! -d .deps/openvino/licenses ]; then
  echo "setup: fetching OpenVINO ($(grep -o '^openvino==[^ ]*' scripts/openvino.txt))"
  fetch_wheels scripts/openvino.txt
  rm -rf .deps/openvino .deps/openvino.pin
  mkdir -p .deps
  unzip -q "$scratch"/wheels/openvino-*.whl 'openvino/cmake/*' 'openvino/include/*' 'openvino/libs/*' 'openvino-*/licenses/*' -d .deps
  mv .deps/openvino-*.dist-info/licenses .deps/openvino/
  rmdir .deps/openvino-*.dist-info
  echo "$pin" > .deps/openvino.pin
fi
# ONNX Runtime likewise, but its wheel has no headers.
pin=$(cat scripts/onnxruntime.txt scripts/onnxruntime_headers.txt | sha256sum | cut -c1-16)
if [ "$(cat .deps/onnxruntime.pin 2>/dev/null)" != "$pin" ]; then
  echo "setup: fetching ONNX Runtime ($(grep -o '^onnxruntime==[^ ]*' scripts/onnxruntime.txt))"
  fetch_wheels scripts/onnxruntime.txt
  rm -rf .deps/onnxruntime .deps/onnxruntime.pin
  mkdir -p .deps/onnxruntime
  unzip -q -j "$scratch"/wheels/onnxruntime-*.whl 'onnxruntime/capi/lib*.so*' 'onnxruntime/LICENSE' \
    'onnxruntime/ThirdPartyNotices.txt' -d .deps/onnxruntime/lib
  fetch_onnxruntime_headers .deps/onnxruntime/include
  echo "$pin" > .deps/onnxruntime.pin
fi
# For NVIDIA's GPUs: the same runtime with its CUDA and TensorRT providers, TensorRT for RTX, and CUDA's own
# libraries. Loaded while framemill runs, where they are there; never needed to build.
if [ "${1:-all}" = gpu ]; then
  pin=$(sha256sum scripts/onnxruntime_gpu.txt | cut -c1-16)
  if [ "$(cat .deps/onnxruntime-gpu.pin 2>/dev/null)" != "$pin" ]; then
    echo "setup: fetching ONNX Runtime for GPUs ($(grep -o '^onnxruntime-gpu==[^ ]*' scripts/onnxruntime_gpu.txt)); about 2.6 GB"
    fetch_wheels scripts/onnxruntime_gpu.txt
    rm -rf .deps/onnxruntime-gpu .deps/onnxruntime-gpu.pin
    mkdir -p .deps/onnxruntime-gpu
    for wheel in "$scratch"/wheels/*.whl; do
      unzip -q -j -n "$wheel" '*.so*' -x '*pybind11_state*' -d .deps/onnxruntime-gpu
    done
    echo "$pin" > .deps/onnxruntime-gpu.pin
  fi
fi
# The modules of the dashboard lie outside the source tree. Their install scripts are not run: none is needed.
pin=$(cat web/package.json web/package-lock.json web/.npmrc | sha256sum | cut -c1-16)
if [ "$(cat .deps/web/pin 2>/dev/null)" != "$pin" ]; then
  echo "setup: fetching the modules of the dashboard"
  rm -rf .deps/web
  mkdir -p .deps/web
  cp web/package.json web/package-lock.json web/.npmrc .deps/web/
  (cd .deps/web && npm ci --ignore-scripts --loglevel=error)
  echo "$pin" > .deps/web/pin
fi
# The browser's tests are driven by Playwright; the browser itself is Debian's.
if [ "${1:-all}" = all ] || [ "${1:-all}" = fuzz ]; then
  pin=$(sha256sum tests/e2e/dashboard_requirements.txt | cut -c1-16)
  if [ "$(cat .deps/playwright.pin 2>/dev/null)" != "$pin" ]; then
    echo "setup: fetching Playwright"
    rm -rf .deps/playwright
    /usr/bin/python3 -m pip install --quiet --disable-pip-version-check --target .deps/playwright -r tests/e2e/dashboard_requirements.txt
    echo "$pin" > .deps/playwright.pin
  fi
fi
# NVIDIA's run-time compiler alone, which needs no GPU: tests compile the kernel of the letterbox with it.
if [ "${1:-all}" = all ] || [ "${1:-all}" = fuzz ]; then
  pin=$(sha256sum scripts/nvrtc.txt | cut -c1-16)
  if [ "$(cat .deps/nvrtc.pin 2>/dev/null)" != "$pin" ]; then
    echo "setup: fetching NVIDIA's run-time compiler ($(grep -o '^nvidia-cuda-nvrtc==[^ ]*' scripts/nvrtc.txt))"
    fetch_wheels scripts/nvrtc.txt
    rm -rf .deps/nvrtc .deps/nvrtc.pin
    unzip -q -j -n "$scratch"/wheels/*.whl '*.so*' -d .deps/nvrtc
    echo "$pin" > .deps/nvrtc.pin
  fi
fi
# framemill eval is held against COCO's own tool, on models that a script spoils.
if [ "${1:-all}" = all ] || [ "${1:-all}" = fuzz ]; then
  pin=$(sha256sum tests/e2e/eval_requirements.txt | cut -c1-16)
  if [ "$(cat .deps/eval_peers.pin 2>/dev/null)" != "$pin" ]; then
    echo "setup: fetching pycocotools and onnx"
    rm -rf .deps/eval_peers
    /usr/bin/python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
      --target .deps/eval_peers -r tests/e2e/eval_requirements.txt
    echo "$pin" > .deps/eval_peers.pin
  fi
fi
# The worker of framemill prepare has a venv of its own, which the program makes on first use; here it is made for the tests.
if [ "${1:-all}" = all ] || [ "${1:-all}" = fuzz ]; then
  /usr/bin/python3 prepare/framemill_prepare/bootstrap.py .deps/prepare
fi
if [ "${1:-all}" = fuzz ]; then
  pin=$(sha256sum tests/fuzz/api_requirements.txt | cut -c1-16)
  if [ "$(cat .deps/schemathesis.pin 2>/dev/null)" != "$pin" ]; then
    echo "setup: fetching schemathesis"
    rm -rf .deps/schemathesis
    /usr/bin/python3 -m pip install --quiet --disable-pip-version-check --target .deps/schemathesis -r tests/fuzz/api_requirements.txt
    echo "$pin" > .deps/schemathesis.pin
  fi
fi
echo "setup: ready"
