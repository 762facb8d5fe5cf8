#!/usr/bin/env bash
# Installs what framemill is built and tested with, on Debian 12. Idempotent: quick when all is there.
#   scripts/setup.sh          packages for building, running and testing
#   scripts/setup.sh build    only those for building and running
set -euo pipefail
cd "$(dirname "$0")/.."

build_packages=(
  ca-certificates g++ cmake ninja-build ccache pkg-config git python3 python3-pip unzip
  libavformat-dev libavcodec-dev libavutil-dev libswscale-dev libavdevice-dev
  libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev libopencv-video-dev
  libboost1.81-dev libcli11-dev libyaml-cpp-dev libfmt-dev libspdlog-dev nlohmann-json3-dev
  libgtest-dev libgmock-dev
  libsqlite3-dev libpaho-mqtt-dev libcurl4-openssl-dev libssl-dev libmodbus-dev
  libpugixml-dev dpkg-dev file
)
test_packages=(
  chromium ffmpeg python3-gi python3-numpy python3-yaml prometheus gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base
  gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav
  sqlite3 mosquitto python3-paho-mqtt python3-pymodbus python3-serial-asyncio openssl lintian systemd
)
# The dashboard is bundled by node; another one in PATH than Debian's will do.
command -v npm >/dev/null || build_packages+=(nodejs npm)
wanted=("${build_packages[@]}")
[ "${1:-all}" = build ] || wanted+=("${test_packages[@]}")

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

# OpenVINO comes as a Python wheel which holds headers, libraries and CMake files; nothing of Python
# is used. scripts/openvino.txt pins its version and hash.
pin=$(sha256sum scripts/openvino.txt | cut -c1-16)
if [ "$(cat .deps/openvino.pin 2>/dev/null)" != "$pin" ] || [ ! -d .deps/openvino/licenses ]; then
  echo "setup: fetching OpenVINO ($(grep -o '^openvino==[^ ]*' scripts/openvino.txt))"
  wheel_dir=$(mktemp -d)
  trap 'rm -rf "$wheel_dir"' EXIT
  /usr/bin/python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --python-version 3.11 --implementation cp --platform manylinux_2_28_x86_64 --require-hashes \
    --dest "$wheel_dir" -r scripts/openvino.txt
  rm -rf .deps/openvino .deps/openvino.pin
  mkdir -p .deps
  unzip -q "$wheel_dir"/openvino-*.whl 'openvino/cmake/*' 'openvino/include/*' 'openvino/libs/*' 'openvino-*/licenses/*' -d .deps
  mv .deps/openvino-*.dist-info/licenses .deps/openvino/
  rmdir .deps/openvino-*.dist-info
  echo "$pin" > .deps/openvino.pin
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
if [ "${1:-all}" != build ]; then
  pin=$(sha256sum tests/e2e/dashboard_requirements.txt | cut -c1-16)
  if [ "$(cat .deps/playwright.pin 2>/dev/null)" != "$pin" ]; then
    echo "setup: fetching Playwright"
    rm -rf .deps/playwright
    /usr/bin/python3 -m pip install --quiet --disable-pip-version-check --target .deps/playwright -r tests/e2e/dashboard_requirements.txt
    echo "$pin" > .deps/playwright.pin
  fi
fi
# framemill eval is held against COCO's own tool, on models that a script spoils.
if [ "${1:-all}" != build ]; then
  pin=$(sha256sum tests/e2e/eval_requirements.txt | cut -c1-16)
  if [ "$(cat .deps/eval_peers.pin 2>/dev/null)" != "$pin" ]; then
    echo "setup: fetching pycocotools and onnx"
    rm -rf .deps/eval_peers
    /usr/bin/python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
      --target .deps/eval_peers -r tests/e2e/eval_requirements.txt
    echo "$pin" > .deps/eval_peers.pin
  fi
fi
echo "setup: ready"
