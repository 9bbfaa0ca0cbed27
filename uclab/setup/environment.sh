# Sourced by every script here and in ci/: strict mode, places, and what several of them need. Not run by itself.
set -euo pipefail

SETUP="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
PROJECT="$(dirname "$(dirname "$SETUP")")" # the checkout, or the folder that the packages are installed in
STATE="${UCLAB_STATE:-/var/lib/uclab}" # root filesystems of devices; containers' images are in podman's own store
IMAGES="$STATE/images"
SUITE=trixie # the Debian release of everything that runs inside the lab
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
export PODMAN_IGNORE_CGROUPSV1_WARNING=1 # what it says, `uclab doctor` has looked at

# A script that is told to end lets the program that it runs clean up first, and cleans up itself (its trap for EXIT).
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '== %s\n' "$*" >&2; }
die() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# Succeeds where nothing is to be made (UCLAB_SETUP_CHECK), after a line that says what would be.
only_said() { [ -n "${UCLAB_SETUP_CHECK:-}" ] && printf 'to do: %s\n' "$*"; }

# Package names of a list, without comments; and separated by commas.
names_in() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$@" | sort; }
commas() { paste -sd,; }

# First 12 hex digits of the digest of what is read.
digest() { sha256sum | cut -c1-12; }

# Where the host's own apt finds its packages of Debian: "URI label" lines, as apt itself understands its sources.
host_repositories() {
    local format='$(ORIGIN)|$(REPO_URI)|$(LABEL)' found
    found=$(apt-get indextargets --format "$format" 'Created-By: Packages')
    if ! grep -q '^[^|]' <<<"$found"; then # the lists were deleted, as in a container image
        apt-get -qq update >&2
        found=$(apt-get indextargets --format "$format" 'Created-By: Packages')
    fi
    awk -F'|' '$1 == "Debian" { sub(/\/$/, "", $2); print $2, $3 }' <<<"$found" | sort -u
}

# apt source lines for a Debian suite from the same mirror that the host's apt uses. A host that is not Debian
# (Ubuntu) gets Debian's public address, or UCLAB_DEBIAN_MIRROR.
debian_sources() {
    local suite=$1 repositories main security
    repositories=$(host_repositories)
    main=${UCLAB_DEBIAN_MIRROR:-$(awk '$2 == "Debian" { print $1; exit }' <<<"$repositories")}
    security=$(awk '$2 == "Debian-Security" { print $1; exit }' <<<"$repositories")
    main=${main:-http://deb.debian.org/debian}
    printf 'deb %s %s main\n' "$main" "$suite" "$main" "$suite-updates"
    printf 'deb %s %s main\n' "${security:-http://deb.debian.org/debian-security}" "$suite-security"
}

# The host's settings for fetching packages (proxy, retries, leniency with old release files), as an apt.conf.
apt_settings() {
    apt-config dump --format '%F "%v";%n' |
        grep -E '^Acquire::(Retries|Check-Valid-Until|Check-Date|https?::(Proxy|Timeout)[^ ]*) "[^"]' || true
    echo 'APT::Install-Recommends "false";'
}

# mmdebstrap mounts /proc and more inside the root that it makes. In a mount namespace of its own they cannot outlive it,
# however it ends, and nothing that cleans up afterwards can reach through them.
mmdebstrap() { unshare --mount "$(type -P mmdebstrap)" "$@"; }

# A minimal root filesystem of a Debian release, without manuals and translations: release, target (a directory, or a
# file ending in .tar), names of packages separated by commas, further options of mmdebstrap. The keys are named because
# a host that is not Debian does not trust them of itself.
debian_root() {
    local suite=$1 target=$2 packages=$3 options=() line
    shift 3
    while read -r line; do options+=("--aptopt=$line"); done < <(apt_settings)
    debian_sources "$suite" | mmdebstrap --quiet --mode=root --variant=minbase "${options[@]}" \
        --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --include="$packages" "$@" "$suite" "$target" -
}

# Publishes a root filesystem as $IMAGES/<kind>, a link to $IMAGES/<kind>-<digest>: kind, digest of all it is made of, a
# function that builds it at a path, and one that checks it there. A name is used only when its content is complete: it is
# built aside and renamed.
publish_root() {
    local kind=$1 name=$1-$2 build=$3 check=$4
    if [ ! -d "$IMAGES/$name/rootfs" ]; then
        ! only_said "build image $name" || return 0
        say "building image $name from Debian packages (about a minute)"
        mkdir -p "$IMAGES"
        work=$(mktemp -d "$IMAGES/.building.XXXXXX")
        trap 'rm -rf --one-file-system "$work"' EXIT
        "$build" "$work/rootfs"
        "$check" "$work/rootfs"
        chmod 755 "$work" "$work/rootfs"
        mv -T "$work" "$IMAGES/$name"
        trap - EXIT
    fi
    if [ "$(readlink "$IMAGES/$kind" || true)" != "$name" ]; then
        ! only_said "let $IMAGES/$kind be image $name" || return 0
        ln -sfn "$name" "$IMAGES/.$kind" && mv -T "$IMAGES/.$kind" "$IMAGES/$kind"
    fi
}
