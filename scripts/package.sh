#!/usr/bin/env bash
# Builds the Debian package and says where it is.
#   scripts/package.sh [--quick] [FOLDER]     FOLDER: out/package
# --quick compresses less: for tests. FRAMEMILL_BUILD names a build folder other than build/release, which then has to be configured.
set -euo pipefail
cd "$(dirname "$0")/.."

compression=xz
if [ "${1:-}" = --quick ]; then
  compression=gzip
  shift
fi
folder=$(realpath -m "${1:-out/package}")
build=${FRAMEMILL_BUILD:-build/release}

if [ -z "${FRAMEMILL_BUILD:-}" ]; then
  scripts/setup.sh build
  cmake --preset release >/dev/null
fi
# The time of the last change, so that the same sources give the same files.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
cmake --build "$build" --target framemill framemill_package_files

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(umask 022 && cpack --config "$build/CPackConfig.cmake" -B "$work" -D "CPACK_DEBIAN_COMPRESSION_TYPE=$compression" >"$work/log" 2>&1) || {
  cat "$work/log" >&2
  exit 1
}
mkdir -p "$folder"
mv "$work"/*.deb "$folder/"
ls -l "$folder"/framemill_*.deb
