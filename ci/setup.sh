#!/usr/bin/env bash
# Makes a bare Debian 12 or 13 or Ubuntu 24.04 ready, as root: host packages, .venv, device image, container images.
# Each part does only what is missing or has changed; when nothing is, all of it takes about a second.
# The same script serves `make`, the Vagrantfile and CI.
. "$(dirname "$0")/environment.sh"

[ "$(id -u)" = 0 ] || die 'run as root: `sudo make setup` (it installs packages and builds images)'
command -v apt-get >/dev/null || die 'this needs apt: Debian 12, Debian 13 or Ubuntu 24.04'
mkdir -p "$CACHE" "$STATE"
exec 9>"$STATE/setup.lock"
flock --nonblock 9 || { say 'another set-up is at work, waiting for it' && flock 9; }

began=$SECONDS
"$PROJECT/ci/packages.sh"
# The network is the limit of the first part and the processor that of the others: let them overlap, but never let the
# first one wait for the processor, or servers grow tired of a slow machine's handshakes. Nothing inherits the lock.
parts=(python device-image container-images)
pids=()
for part in "${parts[@]}"; do
    priority=10
    [ "$part" != python ] || priority=0
    nice -n "$priority" "$PROJECT/ci/$part.sh" 9>&- &
    pids+=($!)
done
nice -n 10 "$PROJECT/ci/asterisk-image.sh" 9>&- || say 'no Asterisk on this machine: the tests against it will be skipped'
failed=()
for i in "${!parts[@]}"; do
    wait "${pids[$i]}" || failed+=("${parts[$i]}")
done
[ ${#failed[@]} -eq 0 ] || die "failed: ${failed[*]} (the messages are above)"
[ $((SECONDS - began)) -lt 5 ] || say "set up in $((SECONDS - began)) s"
