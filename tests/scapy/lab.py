# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The lab, set up by the real lbctl, and frames through the programs that it has pinned.

    clients, gateway --- near  the balancer  far --- backends, router, MTU 1400

The other ends are neighbours that don't exist: frames go in and come out by test runs.
"""
import os
import socket
import subprocess
import sys
import time

NEAR, FAR = "near", "far"
MTU = {NEAR: 1500, FAR: 1400}
MAC = {NEAR: "02:00:00:00:01:01", FAR: "02:00:00:00:02:01"}

# By family: of the balancer, of who is on the link, of who is behind a router there.
OWN = {NEAR: {4: "192.0.2.1", 6: "2001:db8:1::1"}, FAR: {4: "10.9.0.1", 6: "fd09::1"}}
CLIENT = {4: "192.0.2.10", 6: "2001:db8:1::10"}
REMOTE = {4: "198.51.100.7", 6: "2001:db8:51::7"}
GATEWAY = {4: "192.0.2.254", 6: "2001:db8:1::fe"}
ROUTER = {4: "10.9.0.254", 6: "fd09::fe"}
BACKEND = {
    "near": {4: "192.0.2.20", 6: "2001:db8:1::20"},
    "far": {4: "10.9.0.20", 6: "fd09::20"},
    "routed": {4: "10.10.0.20", 6: "fd10::20"},
}

# Address: its interface and MAC.
NEIGHBOURS = {}
for number, (iface, who) in enumerate(((NEAR, CLIENT), (NEAR, GATEWAY), (NEAR, BACKEND["near"]),
                                       (FAR, ROUTER), (FAR, BACKEND["far"]))):
    for family in 4, 6:
        NEIGHBOURS[who[family]] = iface, "02:aa:00:00:%02x:%02x" % (family, number)
ROUTES = {REMOTE[4]: GATEWAY[4], REMOTE[6]: GATEWAY[6],
          BACKEND["routed"][4]: ROUTER[4], BACKEND["routed"][6]: ROUTER[6]}


def way_to(address):
    """Interface and MAC of the next hop."""
    return NEIGHBOURS[ROUTES.get(address, address)]


def ip(*commands):
    subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True)


def build():
    commands = ["link set lo up"]
    for name in NEAR, FAR:
        commands += [
            "link add %s address %s type veth peer name %s_peer" % (name, MAC[name], name),
            "link set %s mtu %d up" % (name, MTU[name]),
            "link set %s_peer up" % name,
            "addr add %s/24 dev %s" % (OWN[name][4], name),
            "addr add %s/64 dev %s nodad" % (OWN[name][6], name),
        ]
    for address, (name, mac) in NEIGHBOURS.items():
        commands.append("neigh replace %s lladdr %s dev %s nud permanent" % (address, mac, name))
    commands += [
        "route add 198.51.100.0/24 via " + GATEWAY[4],
        "route add 2001:db8:51::/48 via " + GATEWAY[6],
        "route add 10.10.0.0/24 via " + ROUTER[4],
        "route add fd10::/64 via " + ROUTER[6],
    ]
    ip(*commands)


class Result:
    """What became of a frame."""

    def __init__(self, line):
        self.action, egress, drops, *frame = line.split()
        self.egress = int(egress)
        self.drops = [] if drops == "-" else drops.split(",")
        self.frame = bytes.fromhex(frame[0]) if frame else b""


class Lab:
    """A balancer in one mode, and its runner."""

    def __init__(self, mode, table, services):
        self.mode = mode
        self.pins = "/sys/fs/bpf/scapy-" + mode
        self.packets = self.reports = 0
        self.since = time.monotonic()
        self.ifindex = {name: socket.if_nametoindex(name) for name in (NEAR, FAR)}
        self.lbctl("attach", NEAR, FAR, "--mode", mode, "--flow-table", table, "--flows", "4096")
        for service in services:
            self.add(service)
        self.runner = subprocess.Popen(
            [os.environ["RUNNER"], self.pins, mode], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def lbctl(self, *args):
        done = subprocess.run([os.environ["LBCTL"], "--pin-dir", self.pins, *args], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            sys.exit("lbctl %s: %s" % (" ".join(args), done.stdout))

    def add(self, service):
        where = service.where(service.vip, service.vport)
        if service.is_local:
            ip("addr replace %s dev lo" % service.vip)
        self.lbctl("add-vip", where, "--method", service.method)
        backend = service.where(service.backend, service.bport).split("/")[0]
        self.lbctl("add-backend", where, backend)

    def slow_down(self):
        """Of a thousand errors a second no more are sent: so not more than half of them."""
        self.reports += 1
        if self.reports % 500 == 0:
            time.sleep(max(0, self.since + 1.1 - time.monotonic()))
            self.since = time.monotonic()

    def run(self, frame, iface):
        self.packets += 1
        self.runner.stdin.write("%d %s\n" % (self.ifindex[iface], frame.hex()))
        self.runner.stdin.flush()
        line = self.runner.stdout.readline()
        if not line:
            sys.exit("the runner died of %d bytes: %s" % (len(frame), frame.hex()))
        return Result(line)

    def close(self):
        self.runner.stdin.close()
        self.runner.wait()
        self.lbctl("unload")
