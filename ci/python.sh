#!/usr/bin/env bash
# Makes .venv exactly what uv.lock says, with the distribution's Python, by a pinned uv in a virtualenv of its own.
. "$(dirname "$0")/environment.sh"

UV_VERSION=0.13.9
uv=$CACHE/uv-$UV_VERSION
stamp=$PROJECT/.venv/uclab.stamp

cd "$PROJECT"
python=
for candidate in /usr/bin/python3 "$(command -v python3 || true)"; do
    if [ -x "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || die "Python 3.11 or newer is needed; /usr/bin/python3 is $(/usr/bin/python3 --version 2>&1)"

state="$PROJECT $("$python" --version) $(cat pyproject.toml uv.lock ci/python.sh | digest)"
# The machine's own trust store, which may hold the certificate of a company's proxy.
[ ! -e /etc/ssl/certs/ca-certificates.crt ] || export PIP_CERT=${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}
[ "$(cat "$stamp" 2>/dev/null || true)" != "$state" ] || exit 0

if [ ! -x "$uv/bin/uv" ]; then
    say "installing uv $UV_VERSION"
    "$python" -m venv "$uv.new"
    "$uv.new/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION"
    rm -rf "$uv" && mv "$uv.new" "$uv"
fi

say "making .venv from uv.lock"
export UV_SYSTEM_CERTS=1 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy
"$uv/bin/uv" sync --quiet --frozen --python "$python"
printf '%s\n' "$state" >"$stamp"
