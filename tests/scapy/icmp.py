# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""ICMP and ICMPv6: errors about packets of flows, echo to a VIP."""
import itertools
import random

from scapy.layers.inet import ICMP, IP, TCP, UDP, in4_chksum
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest,
                                ICMPv6PacketTooBig, ICMPv6ParamProblem, ICMPv6TimeExceeded, IPv6,
                                IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, PadN,
                                in6_chksum)
from scapy.layers.l2 import Ether
from scapy.packet import Raw

import lab
from carried import zero_sum
from model import Flow, built, family_of, ip_of

rng = random.Random(4713)

ERRORS = {
    4: [ICMP(type=3, code=0), ICMP(type=3, code=1), ICMP(type=3, code=3),
        ICMP(type=3, code=4, nexthopmtu=1380), ICMP(type=3, code=13), ICMP(type=11, code=0),
        ICMP(type=11, code=1), ICMP(type=12, code=0, ptr=20)],
    6: [ICMPv6DestUnreach(code=0), ICMPv6DestUnreach(code=1), ICMPv6DestUnreach(code=4),
        ICMPv6PacketTooBig(mtu=1280), ICMPv6TimeExceeded(code=0), ICMPv6TimeExceeded(code=1),
        ICMPv6ParamProblem(code=0, ptr=6), ICMPv6ParamProblem(code=1, ptr=40)],
}
HOP = IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))])


def packet_to(dst, src, error, quote, by, iface, tos=0xc0, ttl=61, **fields):
    """An error by somebody on the way; by: the address whose MAC it comes from."""
    family = 6 if ":" in dst else 4
    layer = IP(src=src, dst=dst, tos=tos, ttl=ttl, **fields) if family == 4 else \
        IPv6(src=src, dst=dst, tc=tos, hlim=ttl, **fields)
    return Ether(src=lab.way_to(by)[1], dst=lab.MAC[iface]) / layer / error.copy() / Raw(quote)


def quote_of(packet, ttl, l4_bytes):
    """The packet's beginning as it was when its TTL was this."""
    seen = packet.copy()
    layer = ip_of(seen)
    if family_of(seen) == 4:
        layer.ttl = ttl
    else:
        layer.hlim = ttl
    data = built(layer)
    header = len(data) - len(bytes(seen[TCP] if TCP in seen else seen[UDP]))
    return data[:header + l4_bytes]


class About:
    """An error about a packet: who is told, and what they have to be told."""

    def __init__(self, flow, by_client, payload=200, l4=None, **fields):
        service = flow.service
        self.flow, self.by_client = flow, by_client
        ends = (flow.iface, service.iface)
        if by_client:  # on the way to the backend it met a router
            self.sent = flow.from_client(rng.randbytes(payload), l4, **fields)
            self.seen = flow.to_backend(self.sent)
            self.iface, self.egress = ends[1], ends[0]
            self.dst, self.smac = flow.source, service.mac
            self.by = service.backend
        else:  # on the way to the client
            self.sent = flow.from_backend(rng.randbytes(payload), l4, **fields) if service.is_pair \
                else flow.direct_reply(rng.randbytes(payload), l4, **fields)
            self.seen = flow.to_client(self.sent) if service.is_pair else self.sent
            self.iface, self.egress = ends
            self.dst, self.smac = service.vip, flow.mac
            self.by = flow.client

    def error(self, error, l4_bytes=200, src=None, **fields):
        quote = quote_of(self.seen, 33, l4_bytes)
        return packet_to(self.dst, src or self.by, error, quote, self.by, self.iface, **fields)

    def expected(self, error, l4_bytes=200, src=None, **fields):
        """The same, as it has to be on the other side."""
        flow, service = self.flow, self.flow.service
        out = packet_to(self.dst, src or self.by, error, quote_of(self.sent, 33, l4_bytes), self.by,
                        self.iface, **fields)
        if not service.is_pair:
            return flow.to_backend(out)
        out = flow.to_client(out) if self.by_client else flow.to_backend(out)
        if service.method == "nat" and not self.by_client:
            ip_of(out).src = src or self.by  # the backend sees who is on the way
        return out

    def carried(self, check, error, l4_bytes=200, trailer=b"", **fields):
        check.becomes(built(self.error(error, l4_bytes, **fields)) + trailer, self.iface,
                      built(self.expected(error, l4_bytes, **fields)) + trailer, self.egress)


def abouts(check, **fields):
    for flow in check.flows():
        check.where = "%s, error to the backend" % flow
        yield About(flow, False, **fields)
        if flow.service.is_pair:
            check.where = "%s, error to the client" % flow
            yield About(flow, True, **fields)


def test_errors(check):
    for about in abouts(check):
        family = about.flow.service.family
        for error in ERRORS[family]:
            about.carried(check, error)
            about.carried(check, error, 8)
        about.carried(check, ERRORS[family][3], src=lab.GATEWAY[family])
        about.carried(check, ERRORS[family][4], src=lab.ROUTER[family], ttl=2, tos=3)


def test_quotes(check):
    """From the least to more than the whole header; half a checksum stays what it was."""
    for about in abouts(check):
        family, is_tcp = about.flow.service.family, about.flow.service.l4 is TCP
        for l4_bytes in [*range(8, 22, 1 if about.flow.service.place == "far" else 6), 33, 70]:
            if not (is_tcp and l4_bytes == 17 and about.flow.service.is_pair):
                about.carried(check, ERRORS[family][3], l4_bytes)
        for l4_bytes in range(8):
            cut = bytes(about.error(ERRORS[family][3], l4_bytes))
            check.passes(cut, about.iface)
            check.passes(cut + bytes(about.error(ERRORS[family][3]))[len(cut):], about.iface)
        about.carried(check, ERRORS[family][0], 9, trailer=rng.randbytes(17))
        about.carried(check, ERRORS[family][0], 21, trailer=rng.randbytes(4))


def test_quotes_of_zero(check):
    """Quotes whose checksum was sent as 0xffff instead of 0 (RFC 768). TCP's 0 may be filling (RFC 4884)."""
    for flow in check.flows(lambda service: service.is_pair and service.l4 is UDP):
        family = flow.service.family
        for by_client in False, True:
            about = About(flow, by_client)
            zero_sum(flow, about.sent)  # 0 here
            about.seen = (flow.to_backend if by_client else flow.to_client)(about.sent)
            about.carried(check, ERRORS[family][2])
            layer = about.sent[flow.service.l4]
            layer.chksum = 0
            data = built(layer)[:-2] + bytes(2)  # 0 where it comes from
            sum_of = in4_chksum if family == 4 else in6_chksum
            total = sum_of(6 if flow.service.l4 is TCP else 17, ip_of(about.sent), data)
            about.sent[Raw].load = about.sent[Raw].load[:-2] + total.to_bytes(2, "big")
            layer.chksum = None
            about.seen = (flow.to_backend if by_client else flow.to_client)(about.sent)
            about.carried(check, ERRORS[family][2])


def test_quoted_headers(check):
    """Quotes with options, without a checksum, of any TOS and identification."""
    pad = IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))])
    for flow in check.flows():
        family = flow.service.family
        kinds = [{"options": [Raw(b"\x01" * 12)]}, {"id": 0xbeef, "flags": "DF", "tos": 0x2f}] \
            if family == 4 else [{"ext": [pad]}, {"ext": [HOP, pad]}, {"fl": 0x54321, "tos": 0x2f}]
        kinds.append({"l4": {"chksum": 0} if flow.service.l4 is UDP else
                      {"options": [("Timestamp", (1, 2))], "flags": "SA"}})
        for kind in kinds:
            for by_client in (False, True) if flow.service.is_pair else (False,):
                for l4_bytes in 8, 200:
                    About(flow, by_client, **kind).carried(check, ERRORS[family][2], l4_bytes)


def test_errors_in_other_headers(check):
    """The error's own options and extension headers."""
    for about in abouts(check):
        if about.flow.service.family == 4:
            for option in b"\x01" * 4, b"\x94\x04\x00\x00" * 10:
                about.carried(check, ERRORS[4][1], options=[Raw(option)])
            continue
        for l4_bytes in 8, 60:
            packet = with_hop_by_hop(about.error(ERRORS[6][1], l4_bytes))
            if about.flow.service.is_pair:
                expected = with_hop_by_hop(about.expected(ERRORS[6][1], l4_bytes))
            else:
                expected = about.flow.to_backend(packet)
            check.becomes(built(packet), about.iface, built(expected), about.egress)


def with_hop_by_hop(packet):
    out = packet.copy()
    payload = ip_of(out).payload
    ip_of(out).remove_payload()
    return out / HOP.copy() / payload


def extended(quote, family):
    """RFC 4884: the quote padded to 128 bytes, and an MPLS label behind it."""
    data = quote[:128] + bytes(128 - len(quote[:128]))
    body = b"\x00\x08\x01\x01\x00\x01\x01\xff"
    return data + b"\x20\x00" + word_sum(b"\x20\x00\x00\x00" + body) + body


def word_sum(data):
    total = sum(int.from_bytes(data[i:i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return (total ^ 0xffff).to_bytes(2, "big")


def test_extended_errors(check):
    for about in abouts(check):
        family = about.flow.service.family
        error = ICMP(type=11, code=0, length=32) if family == 4 else ICMPv6TimeExceeded(length=16)
        for l4_bytes in 8, 200:
            packets = [about.error(error, l4_bytes), about.expected(error, l4_bytes)]
            quotes = [extended(quote_of(packet, 33, l4_bytes), family)
                      for packet in (about.seen, about.sent)]
            if not about.flow.service.is_pair:
                plain = packet_to(about.dst, about.by, error, quotes[1], about.by, about.iface)
                packets = [plain, about.flow.to_backend(plain)]
            else:
                for packet, quote in zip(packets, quotes):
                    packet[Raw].load = quote
            check.becomes(bytes(packets[0]), about.iface, bytes(packets[1]), about.egress)


def test_no_answer_to_errors(check):
    """Whatever becomes of an error, nobody is told."""
    for about in abouts(check, payload=1400):
        family = about.flow.service.family
        for ttl in 0, 1:
            check.drops(about.error(ERRORS[family][0], ttl=ttl), about.iface, "ttl")
        if about.egress == lab.FAR:
            check.drops(about.error(ERRORS[family][0], 1400), about.iface, "too_big")


def test_not_ours(check):
    """About flows that nobody has, of other protocols, later fragments; to another address."""
    for about in abouts(check):
        family = about.flow.service.family
        error = ERRORS[family][1]
        quote = quote_of(about.seen, 33, 60)
        header = len(quote) - 60
        other_port = quote[:header] + b"\x02\x03\x02\x03" + quote[header + 4:]
        if family == 4:
            others = [other_port, quote[:9] + b"\x84" + quote[10:], b"\x65" + quote[1:],
                      quote[:6] + b"\x00\x10" + quote[8:], b"\x44" + quote[1:], b"\x40" + quote[1:]]
        else:
            others = [other_port, quote[:6] + b"\x84" + quote[7:],
                      bytes(IPv6(quote[:40]) / IPv6ExtHdrFragment(nh=quote[6], offset=3) /
                            quote[40:]),
                      bytes(IPv6(quote[:40]) / IPv6ExtHdrFragment(nh=quote[6], offset=0, m=1))]
        for other in others:
            packet = packet_to(about.dst, about.by, error, other, about.by, about.iface)
            check.passes(packet, about.iface)
        types = (0, 4, 5, 9, 10, 13, 14, 17, 18, 40) if family == 4 else \
            (0, 5, 100, 127, 129, 130, 133, 134, 135, 136, 137, 255)
        for number in types:
            frame = bytes(about.error(error))
            at = 34 if family == 4 else 54
            check.passes(frame[:at] + bytes([number]) + frame[at + 1:], about.iface)


def test_to_another(check):
    """Sent to one VIP, quoting another's packet, where both have a flow of these ports."""
    for one, other in zip(check.services, check.services[4:]):
        if one.family == other.family and one.l4 is other.l4:
            flows = check.open(one), Flow(other)
            flows[1].cport = flows[0].cport
            flows[1].sport = flows[1].sport and flows[0].cport
            syn = {"flags": "S"} if one.l4 is TCP else {}
            check.forwarded(flows[1], flows[1].from_client(b"", syn))
            abouts_of = [About(flow, False) for flow in flows]
            for about, dst in zip(abouts_of, (other.vip, one.vip)):
                about.dst = dst
                check.passes(about.error(ERRORS[one.family][2]), about.iface)


def test_about_the_tunnel(check):
    """What is said of outer headers is the host's."""
    for flow in check.flows(lambda service: service.is_tunnel):
        service = flow.service
        outer = bytes(ip_of(flow.to_backend(flow.from_client(bytes(100)))))
        for error in ERRORS[service.backend_family]:
            for size in 28, 60, 120:
                check.passes(packet_to(service.own, service.backend, error, outer[:size],
                                       service.backend, service.iface), service.iface)


def echo(service, client, data, reply=False, number=0x1234, seq=1, **fields):
    """A request to the VIP, or what it has to be answered with."""
    family = service.family
    iface, mac = lab.way_to(client)
    if family == 4:
        layer = ICMP(type=0 if reply else 8, id=number, seq=seq)
    else:
        layer = (ICMPv6EchoReply if reply else ICMPv6EchoRequest)(id=number, seq=seq)
    ends = [client, service.vip]
    macs = [mac, lab.MAC[iface]]
    if reply:
        ends, macs = ends[::-1], macs[::-1]
        fields["ttl"] = 64
    head = IP(src=ends[0], dst=ends[1], **fields) if family == 4 else \
        IPv6(src=ends[0], dst=ends[1], hlim=fields.pop("ttl", 64), tc=fields.pop("tos", 0), **fields)
    packet = Ether(src=macs[0], dst=macs[1]) / head / layer / Raw(data)
    if reply:  # 0xffff is right wherever 0 is, and the other way round only for some
        whole = packet.__class__(bytes(packet))
        name = "chksum" if family == 4 else "cksum"
        inner = whole.getlayer(type(layer))
        if getattr(inner, name) == 0:
            setattr(packet.getlayer(type(layer)), name, 0xffff)
    return packet


def test_echo(check):
    for service in check.services:
        check.where = "echo to %s" % service
        family = service.family
        for client in lab.CLIENT[family], lab.REMOTE[family]:
            for size in 0, 17, 1472 if family == 4 else 1452:
                data = rng.randbytes(size)
                for fields in {}, {"ttl": 1}, {"ttl": 255, "tos": 0xb9}:
                    check.answered(echo(service, client, data, **fields), lab.NEAR,
                                   echo(service, client, data, True, **fields))
            fields = {"options": [Raw(b"\x01" * 8)], "id": 999} if family == 4 else {"fl": 0x777}
            trailer = rng.randbytes(9)
            check.answered(bytes(echo(service, client, b"x", **fields)) + trailer, lab.NEAR,
                           bytes(echo(service, client, b"x", True, **fields)) + trailer)
        frame, at = bytes(echo(service, client, b"x")), 34 if family == 4 else 54
        check.passes(frame[:at] + (b"\x00" if family == 4 else b"\x81") + frame[at + 1:], lab.NEAR)
        check.passes(b"\x33" + frame[1:], lab.NEAR)


def test_echo_of_no_hosts(check):
    """Nor are those answered (RFC 1122, 3.2.1.3; RFC 4291, 2.7)."""
    for service in check.services:
        check.where = "echo to %s" % service
        for address in ("0.0.0.0", "255.255.255.255", "224.0.0.5", "127.0.0.1") \
                if service.family == 4 else ("::", "ff02::1", "::1"):
            packet = echo(service, lab.CLIENT[service.family], b"x")
            ip_of(packet).src = address
            check.not_sent(packet, lab.NEAR)


def test_echo_to_others(check):
    """To no VIP: the host answers, or whose it is."""
    for service in check.services:
        check.where = "echo beside %s" % service
        for address in service.own, service.backend, lab.OWN[lab.NEAR][service.backend_family]:
            packet = echo(service, lab.CLIENT[service.family], b"x")
            if service.family == service.backend_family:
                ip_of(packet).dst = address
                check.passes(packet, lab.NEAR)


def test_echo_checksums(check):
    """Also where the sums are at their ends: 0 and 0xffff."""
    for service in check.services[:4]:
        check.where = "echo to %s" % service
        client = lab.CLIENT[service.family]
        for number in itertools.chain(range(0xf7e0, 0xf820), range(1, 4), range(0xfffc, 0x10000),
                                      range(0x7ee0, 0x7f20)):
            check.answered(echo(service, client, b"", number=number, seq=0), lab.NEAR,
                           echo(service, client, b"", True, number=number, seq=0))


def test_echo_zeros(check):
    """Nothing but zeros: the answer's sum is 0, whose complement isn't 0 (RFC 1624, 3)."""
    for service in check.services[:4]:
        check.where = "echo to %s" % service
        for size in 0, 8:
            packets = [echo(service, lab.CLIENT[service.family], bytes(size), reply, 0, 0)
                       for reply in (False, True)]
            check.answered(packets[0], lab.NEAR, packets[1])


def test_echo_cut(check):
    """No ICMP header in the packet, whatever Ethernet's padding looks like."""
    for service in check.services:
        check.where = "echo to %s" % service
        family = service.family
        frame = bytes(echo(service, lab.CLIENT[family], bytes(40)))
        for size in range(8):
            if family == 4:
                cut = IP(frame[14:34])
                cut.len, cut.chksum = 20 + size, None
            else:
                cut = IPv6(frame[14:54])
                cut.plen = size
            head = bytes(cut)[:20 if family == 4 else 40]
            check.not_sent(frame[:14] + head + frame[14 + len(head):], lab.NEAR)
