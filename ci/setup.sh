#!/usr/bin/env bash
# Makes the checkout ready on a bare machine, as root: what `uclab setup` does (uclab/setup/setup.sh), and with it .venv and
# what only tests need. The same script serves `make`, the Vagrantfile and CI.
here="$(cd "$(dirname "$0")" && pwd)"
exec bash "$here/../uclab/setup/setup.sh" "$here/python.sh" "$here/asterisk-image.sh"
