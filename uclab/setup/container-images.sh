#!/usr/bin/env bash
# Builds the containers' images without a registry: the base from Debian packages, and one image for each folder
# cloud_core/<service> with a Containerfile. Tags: localhost/uclab/<service>:latest and :<digest of all it is made of>;
# a folder whose digest has its tag is not built again. With names as arguments: only these services. UCLAB_SERVICE_FOLDERS
# has further folders, a line each: those of services that other packages add.
. "$(dirname "$0")/environment.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
base=localhost/uclab/base
base_packages=$SETUP/packages/base.txt
logs=$STATE/logs
known=
if [ -z "${UCLAB_SETUP_CHECK:-}" ] || command -v podman >/dev/null; then
    known=$(podman images --format '{{.Repository}}:{{.Tag}} {{.ID}}')
fi

# The id of the image of this name and tag, or nothing.
id_of() { awk -v name="$1" '$1 == name { print $2 }' <<<"$known"; }

build_base() {
    local tag=$1
    say "building $tag from Debian $SUITE packages"
    debian_root "$SUITE" "$work/base.tar" "$(names_in "$base_packages" | commas)"
    podman import --quiet --change 'ENV DEBIAN_FRONTEND=noninteractive' "$work/base.tar" "$tag" >/dev/null
    rm "$work/base.tar"
}

# Buildah's chroot isolation needs neither cgroups nor raised limits, which some machines do not grant. The build
# reaches the mirror by the host's network and with the host's apt settings of today, not those of the base's birth.
# Limits as they are: podman 5 would raise them, which not every machine allows. Processes at most so many as podman 4
# leaves itself while it starts.
own_limits() {
    local files processes=32768
    files=$(ulimit -Hn)
    [ "$files" = unlimited ] || echo "--ulimit=nofile=$(ulimit -Sn):$files"
    [ "$(ulimit -Hu)" = unlimited ] || [ "$(ulimit -Hu)" -ge $processes ] || processes=$(ulimit -Hu)
    echo "--ulimit=nproc=$processes:$processes"
}

build_service() {
    local tag=$1 folder=$2 service
    service=$(basename "$folder")
    say "building $tag"
    mkdir -p "$logs"
    debian_sources "$SUITE" >"$work/sources.list"
    apt_settings >"$work/apt.conf"
    # shellcheck disable=SC2046 # a word for each option
    if ! podman build $(own_limits) --isolation chroot --network host --pull=never --layers=true --format docker \
        --volume "$work/sources.list:/etc/apt/sources.list:ro" --volume "$work/apt.conf:/etc/apt/apt.conf:ro" \
        --tag "$tag" "$folder" >"$logs/build-$service.log" 2>&1; then
        tail -n 40 "$logs/build-$service.log" >&2
        die "the image of $service does not build (whole log: $logs/build-$service.log)"
    fi
}

# Digest of the base and of every file of a service's folder: name, mode, content.
service_digest() {
    (
        cd "$1"
        echo "$base_digest"
        find . -name __pycache__ -prune -o -type f -printf '%P %m\n' | sort
        find . -name __pycache__ -prune -o -type f -print0 | sort -z | xargs -0 cat
    ) | digest
}

# Makes the moving tag (`latest`) name the image that today's content asks for.
point() {
    local moving=$1 tag=$2
    [ -n "$(id_of "$tag")" ] && [ "$(id_of "$moving")" = "$(id_of "$tag")" ] ||
        only_said "let $moving be $tag" || podman tag "$tag" "$moving"
}

base_digest=$({ names_in "$base_packages" && echo "$SUITE" && declare -f build_base debian_root; } | digest)
[ -n "$(id_of "$base:$base_digest")" ] || only_said "build $base:$base_digest" || build_base "$base:$base_digest"
point "$base:$SUITE" "$base:$base_digest"

mapfile -t further <<<"${UCLAB_SERVICE_FOLDERS:-}"
for folder in "$PROJECT"/cloud_core/*/ "${further[@]}"; do
    folder=${folder%/}
    [ -n "$folder" ] && [ -e "$folder/Containerfile" ] || continue
    service=$(basename "$folder")
    [ $# -eq 0 ] || [[ " $* " == *" $service "* ]] || continue
    image=localhost/uclab/$service
    tag=$image:$(service_digest "$folder")
    [ -n "$(id_of "$tag")" ] || only_said "build $tag" || build_service "$tag" "$folder"
    point "$image:latest" "$tag"
done
