#!/usr/bin/env bash
# Runs a command beside a libvirt daemon of its own: in new network, mount and PID namespaces, with its own state
# directory (first argument), and with NAT to the outside in userspace (slirp4netns). The host's network, firewall and
# libvirt are not touched, and when this ends, by whatever signal, the kernel ends everything in it.
. "$(dirname "$0")/environment.sh"

# Waits until a command succeeds: seconds, what for, command.
wait_until() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || die "$what did not appear in time"
        sleep 0.2
    done
}

configure() {
    cat >/etc/libvirt/libvirtd.conf <<'EOF'
unix_sock_rw_perms = "0700"
auth_unix_ro = "none"
auth_unix_rw = "none"
EOF
    # No virtlogd, no cgroups, no security labels: none of them works without the host's init.
    cat >/etc/libvirt/qemu.conf <<'EOF'
user = "root"
group = "root"
security_driver = "none"
remember_owner = 0
stdio_handler = "file"
cgroup_controllers = []
namespaces = []
EOF
}

inside() {
    local state=$1
    shift
    wait_until 20 'the way to the outside (slirp4netns)' ip route get 192.0.2.1
    mount -t tmpfs tmpfs /run
    mkdir -p /run/lock "$state/lib" "$state/etc" "$state/cache"
    echo 'nameserver 10.0.2.3' >/run/resolv.conf # slirp4netns hands questions to the host's resolver
    mount --bind /run/resolv.conf "$(readlink -f /etc/resolv.conf)" 2>/dev/null ||
        { mkdir -p "$(dirname "$(readlink -m /etc/resolv.conf)")" && cp /run/resolv.conf "$(readlink -m /etc/resolv.conf)"; }
    mount --bind "$state/lib" /var/lib/libvirt
    mount --bind "$state/etc" /etc/libvirt
    mount --bind "$state/cache" /var/cache/libvirt
    configure
    ip link set lo up
    libvirtd >"$state/libvirtd.log" 2>&1 &
    wait_until 30 'libvirtd' virsh -c qemu:///system version
    "$@"
}

if [ "$1" = --inside ]; then
    shift
    inside "$@"
    exit
fi

for program in slirp4netns libvirtd virsh; do
    command -v "$program" >/dev/null || die "$program is not installed: uclab/setup/packages.sh ci/virtualization-packages.txt"
done
setpriv --pdeathsig KILL unshare --net --mount --pid --fork --kill-child --mount-proc "$0" --inside "$@" &
holder=$!
slirp=
trap 'kill -KILL $holder $slirp 2>/dev/null || true' EXIT
in_new_namespace() { [ "$(readlink "/proc/$holder/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
wait_until 10 'a new network namespace' in_new_namespace
setpriv --pdeathsig KILL slirp4netns --configure --mtu 1500 --disable-host-loopback --netns-type path \
    "/proc/$holder/ns/net" tap0 >"${1:?state directory}/slirp4netns.log" 2>&1 &
slirp=$!
status=0
wait "$holder" || status=$?
exit "$status"
