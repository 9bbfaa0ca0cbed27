#!/usr/bin/env bash
# Makes .venv exactly what uv.lock says, by a pinned uv in a virtualenv of its own.
. "$(dirname "$0")/environment.sh"

UV_VERSION=0.13.9
uv=$CACHE/uv-$UV_VERSION
stamp=$PROJECT/.venv/uclab.stamp

cd "$PROJECT"
# The distribution's Python: Debian's and Ubuntu's current ones fit. Where none does, uv fetches one.
fitting='import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))'
python=3.13
for candidate in /usr/bin/python3 "$(command -v python3 || true)"; do
    if [ -x "$candidate" ] && "$candidate" -c "$fitting"; then
        python=$candidate
        break
    fi
done

state="$PROJECT $python $(/usr/bin/python3 --version) $(cat pyproject.toml uv.lock ci/python.sh | digest)"
# The machine's own trust store, which may hold the certificate of a company's proxy.
[ ! -e /etc/ssl/certs/ca-certificates.crt ] || export PIP_CERT=${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}
[ "$(cat "$stamp" 2>/dev/null || true)" != "$state" ] || exit 0

# An emulated machine with other work takes seconds for each handshake: more patience, more attempts, fewer at a time.
export PIP_RETRIES=${PIP_RETRIES:-20} UV_HTTP_RETRIES=${UV_HTTP_RETRIES:-20}
export UV_HTTP_CONNECT_TIMEOUT=${UV_HTTP_CONNECT_TIMEOUT:-120} UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-600} # seconds; 10 and 30 are too few
export UV_CONCURRENT_DOWNLOADS=${UV_CONCURRENT_DOWNLOADS:-$((4 * $(nproc)))}

if [ ! -x "$uv/bin/uv" ]; then
    say "installing uv $UV_VERSION"
    /usr/bin/python3 -m venv "$uv.new"
    "$uv.new/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION"
    rm -rf "$uv" && mv "$uv.new" "$uv"
fi

say "making .venv from uv.lock"
export UV_SYSTEM_CERTS=1 UV_LINK_MODE=copy UV_PYTHON_INSTALL_DIR=$CACHE/python
"$uv/bin/uv" sync --quiet --frozen --compile-bytecode --python "$python"
# And the project itself: where PYTHONDONTWRITEBYTECODE is set (containers, CI), each program of a lab would compile it again.
.venv/bin/python -m compileall -q uclab campaigns controllers endpoints_emu cloud_core
printf '%s\n' "$state" >"$stamp"
