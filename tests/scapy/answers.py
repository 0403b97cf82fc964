# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What the balancer says itself: packets are too big, too old, of no flow; and what it lets pass."""
import random

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPv6, IPv6ExtHdrDestOpt,
                                IPv6ExtHdrHopByHop, PadN)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.inet import GRE
from scapy.packet import Raw

import lab
from carried import partial
from fragments import Datagram
from model import Flow, built, family_of, ip_of

rng = random.Random(4714)
ROOM = {4: 576 - 28, 6: 1280 - 48}  # for the quote: RFC 1812, 4.3.2.3; RFC 4443, 2.4
TIME = {4: ICMP(type=11, code=0), 6: ICMPv6TimeExceeded(code=0)}


def too_big(family, mtu):
    return ICMP(type=3, code=4, nexthopmtu=mtu) if family == 4 else ICMPv6PacketTooBig(mtu=mtu)


def report(packet, error):
    """The error about this packet: from where it went to, back the way it came."""
    inner, family = ip_of(packet), family_of(packet)
    if family == 4:
        head = IP(src=inner.dst, dst=inner.src, tos=0xc0, ttl=64, id=0, flags="DF")
    else:
        head = IPv6(src=inner.dst, dst=inner.src, tc=0xc0, hlim=64)
    return (Ether(src=packet.dst, dst=packet.src) / head / error.copy() /
            Raw(built(inner)[:ROOM[family]]))


def reported(check, packet, iface, error, reason, trailer=b""):
    check.answered(built(packet) + trailer, iface, report(packet, error), reason)


def sides(flow, payload=b"", **fields):
    """Packets of both sides, as far as replies pass here."""
    yield flow.from_client(payload, **fields), flow.iface
    if flow.service.is_pair:
        yield flow.from_backend(payload, **fields), flow.service.iface


def test_time_exceeded(check):
    for flow in check.flows():
        family = flow.service.family
        for ttl in 0, 1:
            for size in 0, 1, 300, 541, 1200:
                for packet, iface in sides(flow, rng.randbytes(size), ttl=ttl, tos=0x2f):
                    reported(check, packet, iface, TIME[family], "ttl", bytes(size % 7))
        kinds = [{"options": [Raw(b"\x94\x04\x00\x00")]}] if family == 4 else \
            [{"ext": [IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))])]}, {"fl": 0x12345}]
        for kind in kinds:
            for packet, iface in sides(flow, b"options", ttl=1, **kind):
                reported(check, packet, iface, TIME[family], "ttl")


def test_too_big(check):
    """One byte more than fits behind the balancer is answered by how much would."""
    for flow in check.flows(lambda service: service.path_mtu < lab.MTU[lab.NEAR]):
        family, mtu = flow.service.family, flow.service.path_mtu
        header = len(flow.from_client()) - 14
        check.forwarded(flow, flow.from_client(rng.randbytes(mtu - header)), b"\0" * 3)
        fields = {"flags": "DF"} if family == 4 else {}
        for size in mtu + 1, mtu + 2, 1500:
            packet = flow.from_client(rng.randbytes(size - header), **fields)
            reported(check, packet, flow.iface, too_big(family, mtu), "too_big")
        check.forwarded(flow, flow.from_client(rng.randbytes(mtu - header)))
        if flow.service.is_pair:
            check.replied(flow, flow.from_backend(rng.randbytes(1400 - header)))
        if check.is_generic:
            check.forwarded(flow, flow.from_client(rng.randbytes(2000)))
            continue
        reported(check, flow.from_client(rng.randbytes(2000)), flow.iface, too_big(family, mtu),
                 "too_big")
        if flow.service.is_pair:
            reported(check, flow.from_backend(rng.randbytes(1501 - header)), flow.service.iface,
                     too_big(family, lab.MTU[flow.iface]), "too_big")


def test_fragments(check):
    """Of IPv4's fragments the first alone is reported (RFC 1122, 3.2.2), of IPv6's all."""
    for flow in check.flows():
        family = flow.service.family
        datagram = Datagram(flow, True, 256, 700)
        datagram.send(check, 0)
        for index in 1, 2:
            packet = datagram.pieces[index]
            if family == 4:
                ip_of(packet).ttl = 1
                check.drops(packet, flow.iface, "ttl")
            else:
                ip_of(packet).hlim = 1
                reported(check, packet, flow.iface, TIME[6], "ttl")
        datagram = Datagram(flow, True, 256, 700, ttl=1)
        reported(check, datagram.pieces[0], flow.iface, TIME[family], "ttl")


NO_HOSTS = {4: ("0.0.0.0", "255.255.255.255", "224.0.0.5", "127.0.0.1", "240.0.0.1"),
            6: ("::", "ff02::1", "ff0e::7", "::1")}


def test_no_hosts(check):
    """Nobody is told anything whose address isn't one host's (RFC 1122, 3.2.2; RFC 4443, 2.4 e)."""
    for service in check.services:
        for address in NO_HOSTS[service.family]:
            flow = Flow(service)
            flow.client = address
            check.where = str(flow)
            for l4 in {}, {"flags": "S"} if service.l4 is TCP else {"chksum": 0}:
                check.not_sent(flow.from_client(b"x", l4, ttl=1), lab.NEAR)
            if service.l4 is TCP and service.method == "fullnat":
                check.not_sent(flow.from_client(b"x"), lab.NEAR)


def reset(packet):
    """RFC 9293, 3.10.7.1: answers an ACK of no connection."""
    inner, tcp, family = ip_of(packet), packet[TCP], family_of(packet)
    head = IP(src=inner.dst, dst=inner.src, ttl=64, id=0, flags="DF") if family == 4 else \
        IPv6(src=inner.dst, dst=inner.src, hlim=64)
    return (Ether(src=packet.dst, dst=packet.src) / head /
            TCP(sport=tcp.dport, dport=tcp.sport, seq=tcp.ack, flags="R", window=0))


def test_reset(check):
    """In the middle of a connection that fullnat doesn't know."""
    pad = IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(12))])
    for service in check.services:
        if service.l4 is not TCP or service.method != "fullnat":
            continue
        flow = Flow(service, lab.REMOTE[service.family])
        check.where = str(flow)
        for flags in "A", "FA", "PA", "FPA", "AEC":
            for ack in 0, 1, 0x7fffffff, 0xffffffff:
                for size in 0, 1, 1000:
                    packet = flow.from_client(rng.randbytes(size), {"flags": flags, "ack": ack},
                                              tos=0xb8)
                    check.answered(packet, flow.iface, reset(packet))
        options = {"options": [Raw(b"\x01" * 8)]} if service.family == 4 else {"ext": [pad]}
        packet = flow.from_client(b"x" * 20, {"options": [("MSS", 9)], "ack": 3}, **options)
        check.answered(built(packet) + bytes(9), flow.iface, reset(packet))
        for flags in "", "SA", "R", "RA", "F", "SF", "SR", "SFRPAU", "P", "U":
            check.drops(flow.from_client(b"", {"flags": flags}), flow.iface, "tcp_flags")


def test_partial(check):
    """Checksums that a local stack left partial: what generic mode sends of it is completed later."""
    for flow in check.flows():
        family, is_tcp = flow.service.family, flow.service.l4 is TCP
        for size in 0, 1, 60, 400:
            packet = flow.from_client(rng.randbytes(size), ttl=1)
            frame, answer = built(partial(packet)), built(report(partial(packet), TIME[family]))
            if check.is_generic:
                whole = built(report(packet, TIME[family]))
                header = 14 + (28 if family == 4 else 48)
                answer = whole[:header] + answer[header:]
            check.answered(frame, flow.iface, answer, "ttl")
            if is_tcp and flow.service.method == "fullnat":
                packet = Flow(flow.service).from_client(rng.randbytes(size))
                answer = reset(packet)
                check.answered(partial(packet), flow.iface,
                               partial(answer) if check.is_generic else answer)


def test_middle(check):
    """In the middle of a connection that the others don't know: it goes where its SYN would."""
    for service in check.services:
        if service.l4 is not TCP or service.method == "fullnat":
            continue
        for flags in "A", "FA", "PA":
            flow = Flow(service)
            check.where = str(flow)
            check.forwarded(flow, flow.from_client(b"middle", {"flags": flags}))
        for flags in "R", "RA":
            flow = Flow(service)
            packet = flow.from_client(b"", {"flags": flags})
            if service.is_pair:
                check.drops(packet, flow.iface, "tcp_flags")
            else:
                check.forwarded(flow, packet)


def test_late_replies(check):
    """To a port that only the balancer gives out: the host would answer with a RST."""
    for flow in check.flows(lambda service: service.method == "fullnat"):
        flow.sport = 65000 if flow.sport != 65000 else 65001
        check.drops(flow.from_backend(b"late"), flow.service.iface, "reply_no_flow")
        flow.sport = 40000
        check.passes(flow.from_backend(b"the host's"), flow.service.iface)


def test_others(check):
    """What is none of the balancer's business passes as it came."""
    for flow in check.flows():
        service, packet = flow.service, flow.from_client(b"payload")
        frame, family = built(packet), service.family
        other = packet.copy()
        other[service.l4].dport = 9999
        check.passes(other, lab.NEAR)
        ip_of(other).dst = lab.CLIENT[family]
        check.passes(other, lab.NEAR)
        for mac in b"\xff" * 6, b"\x01\x00\x5e\x00\x00\x01", b"\x33\x33\x00\x00\x00\x01":
            check.passes(mac + frame[6:], lab.NEAR)
        link = Ether(src=packet.src, dst=packet.dst)
        check.passes(link / Dot1Q(vlan=5) / ip_of(packet), lab.NEAR)
        for kind in 0x0000, 0x0806, 0x8847, 0x8864, 0x88a8, 0x0800 ^ 0x8000, 0x86dd ^ 1:
            check.passes(frame[:12] + kind.to_bytes(2, "big") + frame[14:], lab.NEAR)
        if family == 4:
            check.passes(link / ARP(pdst=service.vip), lab.NEAR)
        if family == 6:
            ip_of(other).src = "::ffff:192.0.2.10"
            ip_of(other).dst = service.vip
            other[service.l4].dport = service.vport
            check.passes(other, lab.NEAR)
        else:
            mapped = IPv6(src="2001:db8:1::10", dst="::ffff:" + service.vip)
            check.passes(link / mapped / packet[service.l4].copy(), lab.NEAR)
        swapped = b"\x86\xdd" if family == 4 else b"\x08\x00"
        check.passes(frame[:12] + swapped + frame[14:], lab.NEAR)


def test_encapsulated(check):
    """Packets to a VIP in whatever they are wrapped in: the host's."""
    for flow in check.flows():
        service, packet = flow.service, flow.from_client(b"payload")
        inner = ip_of(packet)
        head = IP(src=flow.client, dst=service.vip) if service.family == 4 else \
            IPv6(src=flow.client, dst=service.vip)
        link = Ether(src=packet.src, dst=packet.dst)
        nested = inner
        for _ in range(4):
            nested = head / nested
            check.passes(link / nested, lab.NEAR)
        check.passes(link / head / GRE() / inner, lab.NEAR)
        for number in 1, 33, 50, 51, 89, 115, 132, 136, 253, 255:
            other = head.copy()
            if service.family == 4:
                other.proto = number
            else:
                other.nh = number
            if number != 1 or service.family == 6:
                check.passes(link / other / Raw(bytes(inner.payload)), lab.NEAR)
        gue = link / head / UDP(sport=50000, dport=6080) / Raw(b"\0\x04\0\0" + bytes(inner))
        check.passes(gue, lab.NEAR)
