#!/usr/bin/env bash
# Makes tokens and a password, once, and starts framemill with Prometheus and Grafana.
#   deploy/compose/start.sh [--only-secrets]
set -euo pipefail
cd "$(dirname "$0")"

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
if [ ! -e .env ]; then
  (umask 077 && printf 'FRAMEMILL_TOKEN=%s\nFRAMEMILL_VIEW_TOKEN=%s\nGRAFANA_PASSWORD=%s\n' "$(random)" "$(random)" "$(random)" >.env)
fi
# Prometheus reads its token, which may only look, from a file, under a user of its own.
mkdir -p secrets
sed -n 's/^FRAMEMILL_VIEW_TOKEN=//p' .env | tr -d '\n' >secrets/view_token
chmod 644 secrets/view_token
[ "${1:-}" != --only-secrets ] || exit 0

# The Dockerfile is written for BuildKit, which Docker before 23 and docker-compose 1 have to be asked for.
export DOCKER_BUILDKIT=1 COMPOSE_DOCKER_CLI_BUILD=1
if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi
"${compose[@]}" up --build --detach
echo "framemill   http://127.0.0.1:8460/  token: $(sed -n 's/^FRAMEMILL_TOKEN=//p' .env)"
echo "Grafana     http://127.0.0.1:3000/  admin: $(sed -n 's/^GRAFANA_PASSWORD=//p' .env)"
echo "Prometheus  http://127.0.0.1:9090/"
