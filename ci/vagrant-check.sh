#!/usr/bin/env bash
# Proves the Vagrantfile without any download but Debian and Python packages: makes a box, runs `vagrant up` (which sets the
# machine up), examines the machine, and does a reference run inside. The machine has a full kernel, so this also proves the
# variants with the openvswitch module and netem. On an emulated processor the run is judged by the findings that do not
# hang on time (emulated_verdict.py). UCLAB_CHECK_RUN: what to run inside. UCLAB_BOX_SUITE: the box's Debian.
# Everything happens in namespaces of its own. Logs and the run's record stay in .cache/vagrant/check-<release>.
. "$(dirname "$0")/environment.sh"

suite=${UCLAB_BOX_SUITE:-bookworm}
state=$CACHE/vagrant/check-$suite
export VAGRANT_HOME=$CACHE/vagrant/home VAGRANT_DOTFILE_PATH=$state/dotfile VAGRANT_DEFAULT_PROVIDER=libvirt
export VAGRANT_CHECKPOINT_DISABLE=1

in_machine() { vagrant ssh -c "cd /vagrant && $1" </dev/null; }

inside() {
    local status=0
    cd "$PROJECT"
    # The machine of an earlier check that was cut short is unknown to this daemon's processes: begin from nothing.
    vagrant destroy --force >/dev/null 2>&1 || true
    say "vagrant up ($suite)"
    vagrant up
    local kvm=yes patience=1
    ci/kvm-answers.sh || { kvm=no && patience=30; } # emulated: ten times slower, and more beside other work
    rm -f "$state/results.json"
    say 'what the machine has'
    in_machine "uname -a; sudo UCLAB_PATIENCE=$patience .venv/bin/uclab doctor"
    in_machine "sudo UCLAB_PATIENCE=$patience .venv/bin/python -c 'from uclab import doctor; report = doctor.probe()
assert (report.able, report.datapath, report.impairment) == (True, \"system\", \"netem\"), report'"
    say 'a reference run in it'
    in_machine "sudo UCLAB_PATIENCE=$patience ${UCLAB_CHECK_RUN:-.venv/bin/uclab run small-office --out /tmp/run}" || status=$?
    in_machine 'sudo tar -C /tmp/run --exclude=*.pcapng -cz .' >"$state/run.tar.gz" || true
    vagrant destroy --force
    if [ "$status" = 1 ] && [ "$kvm" = no ]; then
        say 'not every finding holds; on an emulated processor these must:'
        tar -C "$state" -xzf "$state/run.tar.gz" ./results.json
        status=0
        python3 ci/emulated_verdict.py "$state/results.json" || status=$?
    fi
    return "$status"
}

if [ "${1:-}" = --inside ]; then
    inside
    exit
fi

[ "$(id -u)" = 0 ] || die 'run as root: `sudo make vagrant-check`'
"$SETUP/packages.sh"
"$SETUP/packages.sh" "$PROJECT/ci/virtualization-packages.txt"
mkdir -p "$state"
UCLAB_BOX=$("$PROJECT/ci/vagrant-box.sh" "$suite")
export UCLAB_BOX
"$PROJECT/ci/private-libvirt.sh" "$state" "$0" --inside 2>&1 | grep --line-buffered -v 'Progress: ' | tee "$state/check.log"
