# Sourced by every script here: what those of uclab/setup share, and where the checkout keeps what it fetched and built.
. "$(dirname "${BASH_SOURCE[0]}")/../uclab/setup/environment.sh"

CACHE="$PROJECT/.cache"
mkdir -p "$CACHE"
