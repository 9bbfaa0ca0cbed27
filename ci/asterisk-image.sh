#!/usr/bin/env bash
# Builds the root filesystem of Asterisk, a far end that the load agent is tried against: $IMAGES/asterisk/rootfs. Only
# Debian 14, not yet released, has Asterisk; so a machine that cannot get it is set up without, and the tests say so.
. "$(dirname "$0")/environment.sh"

if [ "${1:-}" != --build ]; then
    nice -n 10 "$0" --build || say 'no Asterisk on this machine: the tests against it will be skipped'
    exit 0
fi

ASTERISK_SUITE=forky

# The release file of a suite in the making may be out of date.
build() { debian_root "$ASTERISK_SUITE" "$1" asterisk --aptopt='Acquire::Check-Valid-Until "false"' --customize-hook='mkdir "$1/lab"'; }

check() { timeout 20 chroot "$1" asterisk -V >/dev/null; }

publish_root asterisk "$({ echo "$ASTERISK_SUITE" && declare -f build debian_root; } | digest)" build check
