#!/usr/bin/env bash
# What has to hold before a change lands. `scripts/check.sh` does all of it, or one part:
#   scripts/check.sh format|layers|tidy|build|test
# `format --fix` rewrites the files.
set -euo pipefail
cd "$(dirname "$0")/.."

check_format() {
  local mode=(--dry-run --Werror)
  [ "${1:-}" = --fix ] && mode=(-i)
  git ls-files 'src/*.h' 'src/*.cc' 'apps/*.cc' 'cmake/*.cc' 'tests/*.cc' 'tests/*.h' | xargs clang-format-14 "${mode[@]}"
}
check_layers() { python3 scripts/check_layers.py; }
check_tidy() {
  cmake --preset tidy >/dev/null
  cmake --build --preset tidy
}
check_build() {
  cmake --preset dev >/dev/null
  cmake --build --preset dev
}
check_test() { scripts/test.sh; }

case "${1:-all}" in
  format) check_format "${2:-}" ;;
  layers) check_layers ;;
  tidy) check_tidy ;;
  build) check_build ;;
  test) check_test ;;
  all)
    check_format
    check_layers
    check_build
    check_tidy
    check_test
    ;;
  *)
    echo "usage: scripts/check.sh [format [--fix]|layers|tidy|build|test]" >&2
    exit 2
    ;;
esac
