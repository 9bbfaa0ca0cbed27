#!/usr/bin/env bash
# Builds the root filesystem in which all programs of emulated devices run: $IMAGES/device/rootfs. It is a plain directory,
# so that a device's process starts in it with bubblewrap in milliseconds.
. "$(dirname "$0")/environment.sh"

list=$SETUP/packages/device.txt
# Programs that have to be there and to start, or the image is not published.
checks=('baresip -h' 'linphonec -v' 'sipp -v' 'nft -v' 'dnsmasq -v' 'unbound -V' 'dig -v' 'ip -V' 'tcpdump --version'
    '/usr/lib/frr/zebra -v' '/usr/lib/frr/bgpd -v' '/usr/lib/frr/bfdd -v' 'openvpn --version' 'iperf3 -v' 'openssl version' 'curl -V' 'ping -V')

# /lab is where a device finds its own folder; resolv.conf is there to be covered by the device's own.
build() {
    debian_root "$SUITE" "$1" "$(names_in "$list" | commas)" \
        --customize-hook='rm -f "$1/etc/resolv.conf" && touch "$1/etc/resolv.conf"' \
        --customize-hook='mkdir "$1/lab"'
}

# Some of them end with a status of their own after printing a version (sipp 99, baresip 254). What counts is: no time-out
# (124), a program that is there with its libraries (126, 127), no crash (134, 139).
check() {
    local root=$1 command status
    for command in "${checks[@]}"; do
        status=0
        # shellcheck disable=SC2086 # a check is a command and its arguments
        timeout 20 bwrap --unshare-all --die-with-parent --ro-bind "$root" / --proc /proc --dev /dev --tmpfs /tmp \
            --setenv HOME /tmp --setenv PATH /usr/sbin:/usr/bin:/sbin:/bin $command >"$work/check.log" 2>&1 || status=$?
        [[ ! $status =~ ^(124|126|127|134|139)$ ]] || die "device image: \`$command\` ended with $status: $(tail -c 500 "$work/check.log")"
    done
    rm "$work/check.log"
}

publish_root device "$({ names_in "$list" && echo "$SUITE" && declare -f build debian_root; } | digest)" build check
