# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Sends frames and compares, byte for byte, what came of them."""
from scapy.layers.inet import TCP

import lab
from model import Flow, built

SHOWN = 5   # failures of a test that are told
TOLD = 160  # bytes of a frame


class Check:
    """One test in one mode."""

    def __init__(self, the_lab, services):
        self.lab = the_lab
        self.services = services
        self.failures = 0
        self.where = ""

    @property
    def is_generic(self):
        return self.lab.mode == "generic"

    def fail(self, what, frame=b"", expected=None, got=None):
        self.failures += 1
        if self.failures > SHOWN:
            return
        print("    %s: %s" % (self.where, what))
        for name, data in ("in", frame), ("expected", expected), ("got", got):
            if data is not None:
                print("      %-8s %4d %s" % (name, len(data), data[:TOLD].hex()))

    def compare(self, frame, result, expected, action, egress=0, drops=()):
        """Tells whether all of it is so."""
        if result.action != action or result.drops != list(drops):
            self.fail("%s %s instead of %s %s" % (result.action, result.drops, action, list(drops)),
                      frame, expected, result.frame)
        elif result.egress != egress:
            self.fail("handed over to interface %d instead of %d" % (result.egress, egress), frame)
        elif expected is not None and result.frame != expected:
            at = next((i for i, (a, b) in enumerate(zip(expected, result.frame)) if a != b),
                      min(len(expected), len(result.frame)))
            self.fail("other bytes from %d on" % at, frame, expected, result.frame)
        else:
            return True
        return False

    def becomes(self, frame, iface, expected, egress):
        return self.sent(frame, iface, self.lab.run(frame, iface), expected, egress)

    def sent(self, frame, iface, result, expected, egress):
        if egress == iface:
            return self.compare(frame, result, expected, "tx")
        if not self.is_generic:
            return self.compare(frame, result, expected, "redirect")
        return self.compare(frame, result, expected, "pass", self.lab.ifindex[egress])

    def passes(self, frame, iface):
        """To the host, as it came."""
        frame = built(frame)
        return self.compare(frame, self.lab.run(frame, iface), frame, "pass")

    def drops(self, frame, iface, reason):
        frame = built(frame)
        return self.compare(frame, self.lab.run(frame, iface), None, "drop", drops=[reason])

    def answered(self, frame, iface, expected, reason=None):
        """Back the way it came, by something else."""
        frame = built(frame)
        if reason:
            self.lab.slow_down()
        return self.compare(frame, self.lab.run(frame, iface), built(expected), "tx",
                            drops=[reason] if reason else [])

    def not_sent(self, frame, iface):
        """Malformed: the host's, as it came, or dropped by name."""
        frame = built(frame)
        result = self.lab.run(frame, iface)
        if result.action == "drop" and len(result.drops) == 1:
            return True
        return self.compare(frame, result, frame, "pass")

    def forwarded(self, flow, packet, trailer=b""):
        """A packet of the client's."""
        frame = built(packet) + trailer
        result = self.lab.run(frame, flow.iface)
        if flow.sport is None and not flow.learn(result.frame):
            self.fail("no port to be learnt", frame, None, result.frame)
            return False
        return self.sent(frame, flow.iface, result, built(flow.to_backend(packet)) + trailer,
                         flow.service.iface)

    def replied(self, flow, packet, trailer=b""):
        """A packet of the backend's."""
        return self.becomes(built(packet) + trailer, flow.service.iface,
                            built(flow.to_client(packet)) + trailer, flow.iface)

    def open(self, service, client=None):
        """A flow with its handshake behind it."""
        flow = Flow(service, client)
        self.where = str(flow)
        is_tcp = service.l4 is TCP
        syn = {"flags": "S", "seq": 999, "ack": 0} if is_tcp else {}
        self.forwarded(flow, flow.from_client(l4=syn))
        if service.is_pair:
            self.replied(flow, flow.from_backend(
                l4={"flags": "SA", "seq": 5000, "ack": 1000} if is_tcp else {}))
        if is_tcp:
            self.forwarded(flow, flow.from_client())
        return flow

    def flows(self, condition=lambda service: True):
        """One of each service, alternately of a client on the link and one behind the gateway."""
        for number, service in enumerate(self.services):
            if condition(service):
                client = lab.REMOTE if number // 2 % 2 else lab.CLIENT
                yield self.open(service, client[service.family])
