#!/usr/bin/env bash
# Proves that a bare Debian release needs nothing but the package registries: makes a root filesystem of it by mmdebstrap, and
# inside, with mounts and processes of its own, does what a new user does: `make setup`, the tests without a lab, one lab.
# Argument: the release (default trixie). UCLAB_CHECK_RUN: the lab's run. What was committed is tried, not what lies about.
. "$(dirname "$0")/environment.sh"

suite=${1:-trixie}
run=${UCLAB_CHECK_RUN:-.venv/bin/uclab run small-office --out /tmp/run}

# In a mount namespace of its own: the new root with /proc, /sys and /dev of this machine, and nothing else of it.
inside() {
    local root=$1
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount -t tmpfs tmpfs "$root/tmp"
    mkdir "$root/run/old"
    cd "$root"
    pivot_root . run/old
    umount -l /run/old
    cd /root/uclab
    export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    unset UCLAB_STATE
    say "$(. /etc/os-release && echo "$PRETTY_NAME"): make setup"
    make setup
    .venv/bin/python --version
    say 'the tests without a lab'
    make unit
    say 'one lab'
    $run
}

if [ "${1:-}" = --inside ]; then
    inside "$2"
    exit
fi

[ "$(id -u)" = 0 ] || die 'run as root: `sudo make debian-check`'
"$SETUP/packages.sh"
work=$(mktemp -d "$CACHE/debian-$suite.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
say "building a root of Debian $suite"
debian_root "$suite" "$work/root" make,ca-certificates
cp -L /etc/resolv.conf "$work/root/etc/resolv.conf"
cp -L /etc/hosts "$work/root/etc/hosts"
debian_sources "$suite" >"$work/root/etc/apt/sources.list"
apt_settings >"$work/root/etc/apt/apt.conf.d/90host"
if compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then # of a company's proxy
    cp /usr/local/share/ca-certificates/*.crt "$work/root/usr/local/share/ca-certificates/"
    chroot "$work/root" update-ca-certificates >/dev/null 2>&1
fi
[ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$work/root/etc/pip.conf"
mkdir "$work/root/root/uclab"
git -C "$PROJECT" archive HEAD | tar -x -C "$work/root/root/uclab"
unshare --mount --pid --fork --kill-child --propagation private "$BASH" "$0" --inside "$work/root"
say "Debian $suite: all of it works"
