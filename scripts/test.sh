#!/usr/bin/env bash
# Installs what is missing, builds, and runs the whole default test suite.
#   scripts/test.sh [PRESET] [ctest arguments...]     PRESET: release (default), dev, asan, tsan
set -euo pipefail
cd "$(dirname "$0")/.."

preset=release
case "${1:-}" in release | dev | asan | tsan) preset=$1; shift ;; esac
scripts/setup.sh
options=()
[ "$preset" = release ] && options=(-DFRAMEMILL_WERROR=ON)  # sanitizers bring warnings of their own
cmake --preset "$preset" "${options[@]}" >/dev/null
cmake --build --preset "$preset"
# A test that gets lost is a failure, too: CTest itself is content with none.
count=$(ctest --preset "$preset" --show-only | sed -n 's/^Total Tests: //p')
least=$(cat tests/count.txt)
if [ "$count" -lt "$least" ]; then
  echo "test: only $count tests are registered, tests/count.txt says at least $least" >&2
  exit 1
fi
# The tests with real cameras run in real time; on a machine that others slow down one may miss its moment,
# so a failed test gets a second try. One that fails twice fails.
ctest --preset "$preset" -j "$(nproc)" --repeat until-pass:2 "$@"
