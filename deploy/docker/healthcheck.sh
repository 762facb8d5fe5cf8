#!/bin/bash
# Exit status 0 where framemill answers and is well: for images without curl.
#   healthcheck.sh [PORT] [PATH]     8460 /healthz
set -eu
exec 3<>"/dev/tcp/127.0.0.1/${1:-8460}"
printf 'GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' "${2:-/healthz}" >&3
read -r -t 5 _ status _ <&3
[ "$status" = 200 ]
