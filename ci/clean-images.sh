#!/usr/bin/env bash
# Removes the images that set-up built: root filesystems of devices, and containers' images under localhost/uclab/.
. "$(dirname "$0")/environment.sh"

if command -v podman >/dev/null; then
    podman images --filter 'reference=localhost/uclab/*' --format '{{.ID}}' | sort -u | xargs -r podman rmi --force >/dev/null
fi
rm -rf --one-file-system "$IMAGES"
