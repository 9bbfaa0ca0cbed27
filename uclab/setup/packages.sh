#!/usr/bin/env bash
# Installs those packages of a list (default: host.txt) that are missing. Starts no service and leaves none enabled:
# every lab runs its own Open vSwitch and its own containers.
. "$(dirname "$0")/environment.sh"

list=${1:-$SETUP/packages/host.txt}

# Packages (or their dependencies) that Debian would start at boot and that a lab starts for itself, in its own namespaces.
ours_to_start='^(openvswitch-|podman|libvirt-|libvirtd)'

installed() { dpkg-query -Wf '${db:Status-Abbrev} ${Package}\n' | awk '$1 == "ii" { print $2 }' | sort -u; }

forbid_starting_services() {
    [ ! -e /usr/sbin/policy-rc.d ] || return 0 # the machine already has a policy of its own
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
}

# Debian enables a service when its package is installed; undone only for packages that came with this run.
disable_services_of() {
    local unit
    command -v systemctl >/dev/null || return 0
    for unit in $(dpkg -L "$@" | sed -nE 's#^(/usr)?/lib/systemd/system/([^/@]+\.(service|socket|timer))$#\2#p' | sort -u); do
        systemctl --quiet disable "$unit" >/dev/null 2>&1 || true # a unit that cannot be enabled cannot be disabled either
    done
}

before=$(installed)
mapfile -t missing < <(names_in "$list" | comm -23 - <(echo "$before"))
[ ${#missing[@]} -gt 0 ] || exit 0

! only_said "install ${missing[*]}" || exit 0
say "installing ${#missing[@]} packages: ${missing[*]}"
forbid_starting_services
apt-get -qq update
echo 'wireshark-common wireshark-common/install-setuid boolean false' | debconf-set-selections
install=(apt-get -qq install -y --no-install-recommends -o Dpkg::Use-Pty=0)
"${install[@]}" --download-only "${missing[@]}" >/dev/null
# Fetching can be broken off. Once packages are being installed, dpkg is not disturbed: it would leave half of one.
trap 'say "waiting until apt has installed what it fetched"' INT TERM
setsid --wait "${install[@]}" "${missing[@]}" >/dev/null
mapfile -t came < <(installed | comm -13 <(echo "$before") - | grep -E "$ours_to_start")
[ ${#came[@]} -eq 0 ] || disable_services_of "${came[@]}"
