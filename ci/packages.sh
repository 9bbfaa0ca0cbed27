#!/usr/bin/env bash
# Installs those packages of a list (default: host.txt) that are missing. Starts no service and leaves none enabled:
# every lab runs its own Open vSwitch and its own containers.
. "$(dirname "$0")/environment.sh"

list=${1:-$PROJECT/ci/packages/host.txt}

missing() {
    local installed
    installed=$(dpkg-query -Wf '${db:Status-Abbrev} ${Package}\n' 2>/dev/null | awk '$1 == "ii" { print $2 }' | sort -u)
    names_in "$list" | sort -u | comm -23 - <(printf '%s\n' "$installed")
}

forbid_starting_services() {
    [ ! -e /usr/sbin/policy-rc.d ] || return 0 # the machine already has a policy of its own
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
}

# Debian enables a service when its package is installed; undo it only for packages that came with this run.
disable_services_of() {
    command -v systemctl >/dev/null || return 0
    local unit
    for unit in $(dpkg -L "$@" | sed -nE 's|^(/usr)?/lib/systemd/system/([^/@]+\.(service|socket|timer))$|\2|p' | sort -u); do
        systemctl --quiet disable "$unit" 2>/dev/null || true
    done
}

mapfile -t wanted < <(missing)
[ ${#wanted[@]} -gt 0 ] || exit 0

say "installing ${#wanted[@]} packages: ${wanted[*]}"
forbid_starting_services
apt-get -qq update
echo 'wireshark-common wireshark-common/install-setuid boolean false' | debconf-set-selections
apt-get -qq install -y --no-install-recommends -o Dpkg::Use-Pty=0 "${wanted[@]}" >/dev/null
mapfile -t serving < <(printf '%s\n' "${wanted[@]}" | grep -xE 'openvswitch-switch|podman' || true)
[ ${#serving[@]} -eq 0 ] || disable_services_of "${serving[@]}"
