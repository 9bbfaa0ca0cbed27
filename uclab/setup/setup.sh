#!/usr/bin/env bash
# Makes a bare Debian 12 or 13 or Ubuntu 24.04 ready for labs, as root: host packages, device image, container images.
# Each part does only what is missing or has changed; when nothing is, all of it takes about half a second and says nothing.
# `uclab setup` runs it, and so does ci/setup.sh, for the checkout. Arguments: further parts (programs) to run beside the
# images. With UCLAB_SETUP_CHECK set, what would be done is said and nothing is. Exit status 2 where this machine or user
# cannot do it at all.
. "$(dirname "$0")/environment.sh"

unable() {
    printf 'setup: %s\n' "$*" >&2
    exit 2
}

[ "$(id -u)" = 0 ] || unable 'this needs root, for it installs packages and builds images: `sudo "$(command -v uclab)" setup`, or `sudo make setup` in a checkout'
command -v apt-get >/dev/null || unable 'this needs apt: Debian 12, Debian 13 or Ubuntu 24.04'
began=$SECONDS
names=()
pids=()

# Each part has a session of its own: a shell's background processes are deaf to Ctrl-C, and apt must not hear it at any
# time. Nothing inherits the lock.
start() {
    local priority=$1 part=$2
    setsid nice -n "$priority" "$BASH" "$part" 9>&- &
    names+=("$(basename "$part" .sh)")
    pids+=($!)
}

finish() {
    local i failed=()
    for i in "${!names[@]}"; do
        wait "${pids[$i]}" || failed+=("${names[$i]}")
    done
    names=() pids=()
    [ ${#failed[@]} -eq 0 ] || die "failed: ${failed[*]} (the messages are above)"
}

interrupted() {
    local status=$1 pid
    trap '' INT TERM
    for pid in "${pids[@]}"; do kill -TERM -- "-$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" || true; done
    say 'interrupted; what was complete stays, and set-up goes on from there the next time'
    exit "$status"
}
trap 'interrupted 130' INT
trap 'interrupted 143' TERM

if [ -z "${UCLAB_SETUP_CHECK:-}" ]; then
    mkdir -p "$STATE"
    exec 9>"$STATE/setup.lock"
    if ! flock --nonblock 9; then
        say 'another set-up is at work, waiting for it'
        setsid flock 9 &
        pids=($!)
        wait "${pids[0]}"
        pids=()
    fi
fi

start 0 "$SETUP/packages.sh"
finish
# The network is the limit of the further parts (Python packages) and the processor that of the images: let them overlap, but
# never let the first wait for the processor, or servers grow tired of a slow machine's handshakes.
for part in "$@"; do start 0 "$part"; done
for part in device-image container-images; do start 10 "$SETUP/$part.sh"; done
finish
[ $((SECONDS - began)) -lt 5 ] || say "set up in $((SECONDS - began)) s"
