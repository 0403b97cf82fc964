# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Explains what became of any frame at all, also of one with wrong checksums: those stay wrong by
as much, so the sum over all that a checksum is of is the same before and behind the balancer."""
import ipaddress

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

import lab
from model import GUE, GUE_PORT

EXTENSIONS = (0, 43, 44, 60)
CHECKSUM_AT = {6: 16, 17: 6}
ERROR_TYPES = {4: (3, 11, 12), 6: (1, 2, 3, 4)}


def packed(address):
    return ipaddress.ip_address(address).packed


def total(data):
    """Of ones' complements; 0 and 0xffff are one."""
    data = bytes(data) + bytes(len(data) % 2)
    return sum(int.from_bytes(data[i:i + 2], "big") for i in range(0, len(data), 2)) % 0xffff


class View:
    """A packet's parts, by offset. at: where its IP header is."""

    def __init__(self, data, at, family):
        self.data, self.at, self.family = bytearray(data), at, family
        self.id_at = None
        if family == 4:
            self.ttl_at, self.src_at, self.dst_at, self.size = at + 8, at + 12, at + 16, 4
            self.l4 = at + (data[at] & 15) * 4
            self.proto = data[at + 9]
            self.end = at + int.from_bytes(data[at + 2:at + 4], "big")
            frag = int.from_bytes(data[at + 6:at + 8], "big") & 0x3fff
            self.offset = frag & 0x1fff
            if frag:
                self.id_at = at + 4, 2
        else:
            self.ttl_at, self.src_at, self.dst_at, self.size = at + 7, at + 8, at + 24, 16
            self.proto, self.l4, self.offset = data[at + 6], at + 40, 0
            self.end = self.l4 + int.from_bytes(data[at + 4:at + 6], "big")
            while self.proto in EXTENSIONS and not self.offset and self.l4 + 8 <= len(data):
                head = data[self.l4:self.l4 + 8]
                if self.proto == 44:
                    frag = int.from_bytes(head[2:4], "big")
                    self.offset = frag >> 3
                    if self.offset or frag & 1:
                        self.id_at = self.l4 + 4, 4
                    self.l4 += 8
                else:
                    self.l4 += 8 + head[1] * 8
                self.proto = head[0]

    def get(self, at, size):
        return bytes(self.data[at:at + size])

    @property
    def src(self):
        return self.get(self.src_at, self.size)

    @property
    def dst(self):
        return self.get(self.dst_at, self.size)

    @property
    def ports(self):
        return self.get(self.l4, 4)

    def put(self, at, data):
        self.data[at:at + len(data)] = data

    def take(self, other, at, size):
        """What can't be known here, from the frame that left."""
        self.put(at, other[at:at + size])

    def sums(self):
        """Of the IP header, and of all that the transport's checksum is of."""
        head = total(self.data[self.at:self.at + 20]) if self.family == 4 else 0
        pseudo = self.src + self.dst if self.family == 6 or self.proto != 1 else b""
        return head, (total(pseudo) + total(self.data[self.l4:self.end])) % 0xffff


def view_of(frame):
    kind = frame[12:14]
    return View(frame, 14, 4 if kind == b"\x08\x00" else 6)


def explain(check, flow, frame, iface):
    result = check.lab.run(frame, iface)
    if result.action == "drop":
        if len(result.drops) != 1:
            check.fail("dropped as %s" % result.drops, frame)
        return
    if result.action == "pass" and not result.egress:
        check.compare(frame, result, frame, "pass")
        return
    view = view_of(frame)
    error = None
    try:
        error = unexplained(check, flow, view, result, iface)
    except (IndexError, ValueError) as reason:
        error = "not even whole: %s" % reason
    if error:
        check.fail("sent on, and %s: %s %s" % (error, result.action, result.drops), frame, None,
                   result.frame)


def unexplained(check, flow, view, result, iface):
    """What is wrong with the frame that left; None: nothing."""
    out, service = result.frame, flow.service
    is_icmp = view.proto == (1 if view.family == 4 else 58)
    if view.end > len(view.data):
        return "longer than its frame"
    if result.drops:
        return is_report(view, out)
    if is_icmp and view.data[view.l4] == (8 if view.family == 4 else 128):
        return is_echo(view, out)
    if is_icmp:
        if view.data[view.l4] not in ERROR_TYPES[view.family]:
            return "no error"
        return is_error(flow, view, out)
    if result.action == "tx" and out[:12] == bytes(view.data[6:12] + view.data[:6]) and \
            view.proto == 6 and len(out) == view.at + (40 if view.family == 4 else 60):
        return is_reset(view, out)
    for service in check.services:
        # Also of another service, which a changed address leads to.
        if view.dst == packed(service.vip):
            return is_to_backend(flow, service, view, out)
    return is_to_client(flow, view, out)


def same(view, out, sums):
    """All but the checksums, and these by their sums."""
    if view.family == 4:
        view.take(out, view.at + 10, 2)
    if not view.offset and view.proto in CHECKSUM_AT:
        view.take(out, view.l4 + CHECKSUM_AT[view.proto], 2)
    if bytes(view.data) != out:
        return "other bytes than expected, %s" % view.data.hex()
    after = view.sums()
    udp_without = view.proto == 17 and not view.offset and \
        view.get(view.l4 + 6, 2) == b"\0\0"
    if after[0] != sums[0] or (not view.offset and not udp_without and after[1] != sums[1]):
        return "sums %s instead of %s" % (after, sums)
    return None


def is_to_backend(flow, service, view, out):
    if view.proto != (6 if service.l4 is TCP else 17):
        return "of another protocol"
    if not view.offset and view.ports[2:] != service.vport.to_bytes(2, "big"):
        return "to another port"
    sums = view.sums()
    view.data[view.ttl_at] -= 1
    if service.is_tunnel:
        return is_tunnel(service, view, out, sums)
    view.put(0, mac(service.mac) + mac(lab.MAC[service.iface]))
    if not service.is_pair:
        return same(view, out, sums)
    is_flows = service is flow.service and view.src == packed(flow.client) and \
        (view.offset or view.ports[:2] == flow.cport.to_bytes(2, "big"))
    if not view.offset:
        if service.method == "fullnat" and is_flows:
            view.put(view.l4, flow.sport.to_bytes(2, "big"))
        elif service.method == "fullnat":
            view.take(out, view.l4, 2)
        view.put(view.l4 + 2, service.bport.to_bytes(2, "big"))
    if service.method == "fullnat":
        view.put(view.src_at, packed(service.own))
    view.put(view.dst_at, packed(service.backend))
    return same_renumbered(view, out, sums)


def same_renumbered(view, out, sums):
    """A fragment's identification is a new one."""
    if view.id_at:
        view.take(out, *view.id_at)
    return same(view, out, sums)


def is_to_client(flow, view, out):
    service = flow.service
    if not service.is_pair or view.src != packed(service.backend):
        return "of nobody"
    sums = view.sums()
    if service.method == "fullnat" and not view.offset and \
            view.ports[2:] != flow.sport.to_bytes(2, "big"):
        return None  # another flow's reply
    view.data[view.ttl_at] -= 1
    view.take(out, 0, 6) if service.method == "nat" else view.put(0, mac(flow.mac))
    view.put(6, mac(lab.MAC[flow.iface]))
    view.put(view.src_at, packed(service.vip))
    if service.method == "fullnat":
        view.put(view.dst_at, packed(flow.client))
    if not view.offset:
        view.put(view.l4, service.vport.to_bytes(2, "big"))
        if service.method == "fullnat":
            view.put(view.l4 + 2, flow.cport.to_bytes(2, "big"))
    return same_renumbered(view, out, sums)


def is_tunnel(service, view, out, sums):
    inner = View(out[:14] + out[14 + service.overhead:], 14, view.family)
    tos = view.data[15] if view.family == 4 else \
        int.from_bytes(view.data[14:16], "big") >> 4 & 0xff
    length = view.end - view.at
    proto = 4 if view.family == 4 else 41
    number = 17 if service.method == "gue" else proto
    if service.backend_family == 4:
        head = IP(src=service.own, dst=service.backend, tos=tos, ttl=64, id=0, flags="DF",
                  proto=number)
    else:
        head = IPv6(src=service.own, dst=service.backend, tc=tos, hlim=64, nh=number,
                    fl=int.from_bytes(out[15:18], "big") & 0xfffff)
    payload = Raw(bytes(inner.data[14:14 + length]))
    if service.method == "gue":
        at = 14 + service.overhead - 12
        head = head / UDP(sport=int.from_bytes(out[at:at + 2], "big"), dport=GUE_PORT) / \
            GUE(proto=proto)
        head[UDP].chksum = 0
        if service.backend_family == 6:
            # The inner checksum is taken for right; where it is wrong, so is this one.
            head[UDP].chksum = int.from_bytes(out[at + 6:at + 8], "big")
    frame = bytes(Ether(src=lab.MAC[service.iface], dst=service.mac) / head / payload)
    if out[:14 + service.overhead] != frame[:14 + service.overhead]:
        return "the outer header has to be %s" % frame[:14 + service.overhead].hex()
    inner.put(0, view.get(0, 14))
    return same(view, bytes(inner.data), sums)


def is_error(flow, view, out):
    service = flow.service
    sums = view.sums()
    if view.dst != packed(service.vip):
        return "an error to nobody"
    view.data[view.ttl_at] -= 1
    if service.is_tunnel:
        return is_tunnel(service, view, out, sums)
    view.put(0, mac(service.mac) + mac(lab.MAC[service.iface]))
    if not service.is_pair:
        return same(view, out, sums)
    quote = View(view.data, view.l4 + 8, view.family)
    if quote.ports != service.vport.to_bytes(2, "big") + flow.cport.to_bytes(2, "big") or \
            quote.dst != packed(flow.client):
        return None  # another flow's
    before = quote_sums(quote, view.end)
    if service.method == "fullnat":
        view.put(view.src_at, packed(service.own))
    view.put(view.dst_at, packed(service.backend))
    view.put(quote.src_at, packed(service.backend))
    view.put(quote.dst_at, packed(flow.source))
    view.put(quote.l4, service.bport.to_bytes(2, "big") + flow.sport.to_bytes(2, "big"))
    view.take(out, view.l4 + 2, 2)
    if view.family == 4:
        view.take(out, quote.at + 10, 2)
    at = quote.l4 + CHECKSUM_AT[quote.proto]
    if at + 2 <= view.end:
        view.take(out, at, 2)
    after = quote_sums(View(view.data, view.l4 + 8, view.family), view.end)
    if before != after and bytes(view.data[at:at + 2]) != b"\0\0":
        return "the quote's sums %s instead of %s" % (after, before)
    return same(view, out, sums)


def quote_sums(quote, end):
    quote.end = end
    return quote.sums()


def is_echo(view, out):
    sums = view.sums()
    src, dst, macs = view.src, view.dst, view.get(0, 12)
    view.put(0, macs[6:] + macs[:6])
    view.put(view.src_at, dst)
    view.put(view.dst_at, src)
    view.data[view.ttl_at] = 64
    view.data[view.l4] = 0 if view.family == 4 else 129
    view.take(out, view.l4 + 2, 2)
    return same(view, out, sums)


def is_report(view, out):
    """The error quotes the packet as it came; all its own sums are right."""
    answer = view_of(out)
    if (answer.src, answer.dst) != (view.dst, view.src) or \
            out[:12] != view.get(6, 6) + view.get(0, 6):
        return "reported to somebody else"
    room = 548 if view.family == 4 else 1232
    quote = bytes(view.data[view.at:view.end])[:room]
    if out[answer.l4 + 8:] != quote:
        return "reported with another quote"
    head, body = answer.sums()
    if view.family == 6:
        body = (body + answer.end - answer.l4 + 58) % 0xffff
    return None if head == 0 and body == 0 else "reported with wrong sums %d %d" % (head, body)


def is_reset(view, out):
    answer = view_of(out)
    sport, dport = view.ports[:2], view.ports[2:]
    ack = view.get(view.l4 + 8, 4)
    body = dport + sport + ack + bytes(4) + b"\x50\x04" + bytes(2)
    if answer.src != view.dst or answer.dst != view.src or out[answer.l4:answer.l4 + 16] != body:
        return "another reset than due"
    head, total_sum = answer.sums()
    total_sum = (total_sum + 6 + 20) % 0xffff
    return None if head == 0 and total_sum == 0 else "reset with wrong sums"


def mac(text):
    return bytes.fromhex(text.replace(":", ""))
