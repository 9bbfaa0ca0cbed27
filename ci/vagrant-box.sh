#!/usr/bin/env bash
# Makes a Vagrant box (provider libvirt) out of Debian packages, without any download from a box server, and prints the
# name under which Vagrant knows it. Argument: the Debian release of the box (default bookworm).
. "$(dirname "$0")/environment.sh"

suite=${1:-bookworm}
disk_size=16G
packages=(linux-image-cloud-amd64 systemd-sysv systemd-resolved dbus udev openssh-server sudo rsync ca-certificates
    iproute2 iputils-ping less)
export VAGRANT_HOME=$CACHE/vagrant/home

# A machine that Vagrant can log in to: its well-known key, sudo, DHCP; and the host's own trusted certificates.
furnish() {
    local root=$1
    chroot "$root" useradd --create-home --shell /bin/bash vagrant
    echo 'vagrant ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/vagrant"
    install -d -m 700 "$root/home/vagrant/.ssh"
    install -m 600 "$(dpkg -L vagrant | grep '/keys/vagrant.pub$')" "$root/home/vagrant/.ssh/authorized_keys"
    chroot "$root" chown -R vagrant:vagrant /home/vagrant/.ssh
    echo uclab >"$root/etc/hostname"
    printf '127.0.0.1 localhost\n127.0.1.1 uclab\n' >"$root/etc/hosts"
    printf '[Match]\nName=eth*\n[Network]\nDHCP=ipv4\n' >"$root/etc/systemd/network/50-dhcp.network"
    printf '/dev/vda / ext4 errors=remount-ro 0 1\n' >"$root/etc/fstab"
    chroot "$root" systemctl --quiet enable systemd-networkd systemd-resolved ssh
    ln -sf /run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
    debian_sources "$suite" >"$root/etc/apt/sources.list"
    apt_settings >"$root/etc/apt/apt.conf.d/90host"
    if compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
        cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
        chroot "$root" update-ca-certificates >/dev/null 2>&1
    fi
}

build() {
    local work=$1
    debian_root "$suite" "$work/root" "$(printf '%s\n' "${packages[@]}" | commas)" --dpkgopt=force-unsafe-io
    furnish "$work/root"
    cp -L "$work"/root/boot/vmlinuz-* "$work/vmlinuz"
    cp -L "$work"/root/boot/initrd.img-* "$work/initrd"
    truncate -s "$disk_size" "$work/disk"
    mke2fs -q -t ext4 -d "$work/root" "$work/disk"
    rm -rf --one-file-system "$work/root"
    qemu-img convert -O qcow2 "$work/disk" "$work/box.img"
    rm "$work/disk"
    printf '{"provider": "libvirt", "format": "qcow2", "virtual_size": %d}\n' "${disk_size%G}" >"$work/metadata.json"
    # The kernel is given to the machine from outside: a box without a boot loader.
    cat >"$work/Vagrantfile" <<EOF
Vagrant.configure("2") do |config|
  config.vm.provider :libvirt do |machine|
    machine.kernel = "$folder/vmlinuz"
    machine.initrd = "$folder/initrd"
    machine.disk_driver cache: "unsafe" # a machine for one check; waiting for the disk is most of a package's time
    machine.cmd_line = "root=/dev/vda rw net.ifnames=0 console=ttyS0"
  end
end
EOF
    tar -C "$work" -cf "$work/box.tar" metadata.json Vagrantfile box.img
    rm "$work/box.img"
}

name=uclab-$suite-$({ echo "$suite" "$disk_size" "${packages[@]}" && declare -f build furnish debian_root; } | digest)
folder=$CACHE/vagrant/$name
if [ ! -d "$folder" ]; then
    say "building the box $name from Debian $suite packages"
    mkdir -p "$CACHE/vagrant"
    work=$(mktemp -d "$CACHE/vagrant/.building.XXXXXX")
    trap 'rm -rf --one-file-system "$work"' EXIT
    build "$work"
    chmod 755 "$work"
    mv -T "$work" "$folder"
    trap - EXIT
fi
vagrant box list 2>/dev/null | grep -q "^$name " ||
    vagrant box add --provider libvirt --name "$name" "$folder/box.tar" >&2
echo "$name"
