"""Namespaces, processes, netlink, packet filters of the Linux kernel."""
