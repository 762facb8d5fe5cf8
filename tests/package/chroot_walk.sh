#!/usr/bin/env bash
# Walks a package of scripts/package.sh through its life in a fresh Debian 12: installed by apt, run as its user, upgraded with and without
# a configuration of the operator's own, removed, installed again, purged. Root, debootstrap and Debian's mirror are needed; some 5 minutes.
#   tests/package/chroot_walk.sh PACKAGE.deb [BASE]     BASE: folder of an earlier `debootstrap --variant=minbase bookworm`, left as it is
set -euo pipefail
package=$(realpath "$1")
healthcheck=$(realpath "$(dirname "$0")/../../deploy/docker/healthcheck.sh")
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)}  # this machine's
work=$(mktemp -d)
root=$work/root

leave() {
  umount "$root/proc" 2>/dev/null || true
  rm -rf --one-file-system "$work"
}
trap leave EXIT
step() { echo "== $*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
apt() { inside apt-get -y -qq -o Dpkg::Use-Pty=0 "$@" >>"$work/apt.log" 2>&1 || { tail -40 "$work/apt.log" >&2; fail "apt-get $*"; }; }
expect() { # expect WHAT WANTED GOT
  [ "$2" = "$3" ] || fail "$1: wanted \"$2\", got \"$3\""
  echo "   $1: $3"
}
mode_of() { inside stat -c '%U:%G %a' "$1"; }

# As the unit would: its user, its environment, its folders; alone in a network of its own. Ended as systemd ends it, once it is ready and has
# run for some seconds; a slow machine only takes longer.
run_as_service() { # run_as_service SECONDS
  unshare --net bash -c "ip link set lo up && exec chroot '$root' setpriv --reuid framemill --regid framemill --init-groups --no-new-privs \
    env -i PATH=/usr/bin:/bin HOME=/var/lib/framemill XDG_CACHE_HOME=/var/cache bash -c '
      cd /var/lib/framemill
      umask 0027
      framemill run /etc/framemill/site.yaml --summary /var/lib/framemill/summary.json &
      for attempt in \$(seq 600); do
        if /tmp/healthcheck.sh 8460 /readyz 2>/dev/null; then echo ready; break; fi
        kill -0 \$! || break
        sleep .2
      done
      sleep $1
      kill -TERM \$!
      wait \$!'" 2>"$work/run.log" || { cat "$work/run.log" >&2; fail "the run as user framemill"; }
}
# The same files under a higher version, with another default configuration.
repack() { # repack VERSION OUT
  local tree=$work/repack
  rm -rf "$tree"
  dpkg-deb -R "$package" "$tree"
  sed -i "s/^Version: .*/Version: $1/" "$tree/DEBIAN/control"
  echo "# default of version $1" >>"$tree/etc/framemill/site.yaml"
  (cd "$tree" && find usr etc lib -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
  dpkg-deb -b --root-owner-group -Znone "$tree" "$2" >/dev/null
}

step "a fresh Debian 12"
if [ $# -gt 1 ]; then cp -a "$2" "$root"; else debootstrap --variant=minbase --include=ca-certificates bookworm "$root" "$mirror" >"$work/debootstrap.log"; fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
mount --bind /proc "$root/proc"
cp "$healthcheck" "$root/tmp/healthcheck.sh"
apt update
first=$(dpkg-deb -f "$package" Version)
cp "$package" "$root/tmp/framemill.deb"
repack "$first+1" "$root/tmp/next.deb"
repack "$first+2" "$root/tmp/after.deb"
inside find / -xdev -path /proc -prune -o -path /tmp -prune -o -path /var/cache/apt -prune -o -path /var/log -prune -o -path /var/lib/apt -prune -o -print | sort >"$work/before"

step "install $first"
apt install --no-install-recommends /tmp/framemill.deb
expect "version" "framemill ${first%-*}" "$(inside framemill --version)"
expect "state" "framemill:framemill 750" "$(mode_of /var/lib/framemill)"
expect "log" "framemill:framemill 750" "$(mode_of /var/log/framemill)"
expect "configuration" "root:framemill 750" "$(mode_of /etc/framemill)"
expect "shell of the user" "/usr/sbin/nologin" "$(inside getent passwd framemill | cut -d: -f7)"
expect "changed files" "" "$(inside dpkg --verify framemill)"
inside framemill config check /etc/framemill/site.yaml
expect "missing libraries" "" "$(inside sh -c 'ldd /usr/bin/framemill /usr/lib/framemill/*.so* | grep "not found" || true')"
expect "manual page" "0" "$(inside sh -c 'zcat /usr/share/man/man1/framemill.1.gz | grep -c "^.TH FRAMEMILL" >/dev/null; echo $?')"

step "run as user framemill"
expect "server" "ready" "$(run_as_service 8)"
expect "database" "framemill:framemill 640" "$(mode_of /var/lib/framemill/events.db)"
inside grep -q '"conserved": *true' /var/lib/framemill/summary.json || fail "the summary is not whole"
[ -n "$(ls "$root/var/cache/framemill")" ] || fail "no compiled model is kept"
expect "may not write its configuration" "no" "$(inside setpriv --reuid framemill --regid framemill --init-groups sh -c 'echo >>/etc/framemill/site.yaml && echo yes || echo no' 2>/dev/null)"

step "the unit"
apt install --no-install-recommends systemd
inside systemd-analyze verify --man=no /lib/systemd/system/framemill.service || fail "systemd-analyze verify"
inside systemd-analyze security --offline=yes --threshold=30 /lib/systemd/system/framemill.service | tail -1 || fail "systemd-analyze security: exposure over 3.0"
expect "not started by itself" "disabled" "$(inside systemctl is-enabled framemill.service || true)"

step "upgrade, configuration untouched"
apt install --no-install-recommends /tmp/next.deb
inside grep -q "default of version $first+1" /etc/framemill/site.yaml || fail "an untouched configuration stays old"
inside test -s /var/lib/framemill/events.db || fail "data is gone"

step "upgrade, configuration changed by the operator"
inside sed -i 's/rate: 5/rate: 4/' /etc/framemill/site.yaml
apt install --no-install-recommends -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold /tmp/after.deb
inside grep -q "rate: 4" /etc/framemill/site.yaml || fail "the operator's configuration is gone"
inside grep -q "default of version $first+2" /etc/framemill/site.yaml.dpkg-dist || fail "the new default is not beside it"
expect "configuration" "root:framemill 750" "$(mode_of /etc/framemill)"
expect "server" "ready" "$(run_as_service 5)"

step "remove"
apt remove framemill
[ ! -e "$root/usr/bin/framemill" ] && [ ! -e "$root/usr/lib/framemill" ] || fail "files stay behind"
inside grep -q "rate: 4" /etc/framemill/site.yaml || fail "remove takes the configuration"
inside test -s /var/lib/framemill/events.db || fail "remove takes the data"

step "install again"
apt install --no-install-recommends /tmp/after.deb
inside grep -q "rate: 4" /etc/framemill/site.yaml || fail "the configuration is not taken up again"
expect "server" "ready" "$(run_as_service 4)"

step "purge"
inside touch /etc/framemill/secrets.env
apt purge framemill
expect "user" "gone" "$(inside getent passwd framemill >/dev/null && echo there || echo gone)"
expect "group" "gone" "$(inside getent group framemill >/dev/null && echo there || echo gone)"
inside find / -xdev -path /proc -prune -o -path /tmp -prune -o -path /var/cache/apt -prune -o -path /var/log -prune -o -path /var/lib/apt -prune -o -print | sort >"$work/after"
expect "left behind" "" "$(comm -13 "$work/before" "$work/after" | grep framemill || true)"
expect "logs left behind" "gone" "$([ -e "$root/var/log/framemill" ] && echo there || echo gone)"
expect "half-configured packages" "" "$(inside dpkg --audit)"

step "with an account that is there already, as in the image"
inside groupadd --system --gid 8460 framemill
inside useradd --system --uid 8460 --gid framemill --home-dir /var/lib/framemill --no-create-home --shell /usr/sbin/nologin framemill
apt install --no-install-recommends /tmp/after.deb
expect "its number" "8460" "$(inside id -u framemill)"
expect "state" "framemill:framemill 750" "$(mode_of /var/lib/framemill)"
echo "the walk holds"
