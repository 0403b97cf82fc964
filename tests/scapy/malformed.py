# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What nobody should send: nothing of it may leave but what it would have to become."""
import random

from scapy.layers.inet import TCP, UDP
from scapy.layers.inet6 import (IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
                                IPv6ExtHdrRouting, PadN)
from scapy.packet import Raw

import lab
from answers import sides
from icmp import About, ERRORS, echo
from model import Flow, built, ip_of
from oracle import explain

rng = random.Random(4715)
PAD = PadN(optdata=bytes(4))


def refused(check, flow, packet, bad, iface):
    """Ports that are a VIP's: dropped. Else the host may judge."""
    if ip_of(packet).dst == flow.service.vip:
        check.drops(bad, iface, "malformed")
    else:
        check.passes(bad, iface)


def kept_from(check, flow, packet, bad, iface):
    """Malformed so that its ports may not be known: the host's, if it may be a reply of method nat."""
    if flow.service.method == "nat" and ip_of(packet).dst == flow.client:
        check.passes(bad, iface)
    else:
        check.not_sent(bad, iface)


def test_truncated(check):
    """The frame ends at each byte of its headers, and a little behind."""
    for flow in check.flows():
        for packet, iface in sides(flow, bytes(30)):
            frame = built(packet)
            for size in range(14, len(frame)):
                kept_from(check, flow, packet, frame[:size], iface)


def test_short_packets(check):
    """The packet ends within the transport header, and says so."""
    for flow in check.flows():
        name, base = ("len", 20) if flow.service.family == 4 else ("plen", 0)
        for packet, iface in sides(flow):
            whole = bytes(packet)
            header = len(bytes(packet[flow.service.l4]))
            for size in range(header):
                setattr(ip_of(packet), name, base + size)
                bad = bytes(packet)[:len(whole) - header + size]
                kept_from(check, flow, packet, bad, iface)


def test_truncated_chains(check):
    hop = IPv6ExtHdrHopByHop(options=[PAD])
    dest = IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(20))])
    for flow in check.flows(lambda its: its.family == 6 and its.method in ("fullnat", "gue")):
        ext = [hop, dest, IPv6ExtHdrFragment(id=5), dest]
        frame = bytes(flow.from_client(bytes(12), ext=ext))
        for size in range(14, len(frame)):
            check.not_sent(frame[:size], flow.iface)


def test_truncated_errors(check):
    for flow in check.flows(lambda service: service.place == "far"):
        about = About(flow, flow.service.is_pair)
        frame = bytes(about.error(ERRORS[flow.service.family][3], 40))
        for size in range(14, len(frame)):
            check.not_sent(frame[:size], about.iface)
    for service in check.services[:4]:
        frame = bytes(echo(service, lab.CLIENT[service.family], bytes(20)))
        for size in range(14, len(frame)):
            check.not_sent(frame[:size], lab.NEAR)


def test_nibbles(check):
    """Version, header lengths: all values but the right one."""
    for flow in check.flows():
        for packet, iface in sides(flow, bytes(8)):
            frame = bytearray(built(packet))
            right = frame[14]
            for value in {*range(right & 15, 256, 16), *range(right & 0xf0, (right & 0xf0) + 16)}:
                if value == right or flow.service.family == 6 and value >> 4 == 6:
                    continue  # of IPv6 it is the traffic class
                check.not_sent(bytes(frame[:14]) + bytes([value]) + bytes(frame[15:]), iface)
            if flow.service.l4 is not TCP:
                continue
            at = len(frame) - 8 - 20 + 12
            for doff in range(16):
                bad = bytes(frame[:at]) + bytes([doff << 4]) + bytes(frame[at + 1:])
                if doff not in (5, 6, 7):
                    refused(check, flow, packet, bad, iface)


def test_short_header(check):
    """An IPv4 header that says to be shorter than it can, where something in it looks like the port."""
    for service in check.services:
        if service.family == 6:
            continue
        flow = Flow(service)
        flow.client = "198.51.0.%d" % service.vport
        check.where = str(flow)
        header = 40 if service.l4 is TCP else 28
        packet = flow.from_client(bytes(service.vport - header), id=20)
        for ihl in range(5):
            ip_of(packet).ihl = ihl
            for tos in 0, 0x50:
                ip_of(packet).tos = tos
                check.drops(packet, lab.NEAR, "malformed")


def test_lengths(check):
    """Lengths beyond the packet, or too short for the header."""
    for flow in check.flows():
        family, is_tcp = flow.service.family, flow.service.l4 is TCP
        least = 20 if is_tcp else 8
        for packet, iface in sides(flow, bytes(20)):
            right = len(built(packet)) - 14
            name, base = ("len", 20) if family == 4 else ("plen", 0)
            real = right if family == 4 else right - 40
            for value in [*range(0, base, 5), *range(base, base + least, 5), base + least - 1,
                          real + 1, real + 2, 0xffff]:
                bad = packet.copy()
                setattr(ip_of(bad), name, value)
                kept_from(check, flow, packet, bad, iface)
                if value != real + 1:
                    kept_from(check, flow, packet, bytes(bad) + bytes(1), iface)
            if is_tcp:
                continue
            for value in [*range(8), 29, 30, 0x7fff, 0xffff]:
                bad = packet.copy()
                bad[UDP].len = value
                refused(check, flow, packet, bad, iface)


def test_hidden(check):
    """The payload ends within the headers, which go on as Ethernet's padding."""
    hop, dest = IPv6ExtHdrHopByHop(options=[PAD]), IPv6ExtHdrDestOpt(options=[PAD])
    for flow in check.flows(lambda service: service.family == 6):
        for ext in [hop, dest], [IPv6ExtHdrFragment(id=6)]:
            packet = flow.from_client(bytes(9), ext=ext)
            for length in range(8 * len(ext) + (20 if flow.service.l4 is TCP else 8)):
                ip_of(packet).plen = length
                check.not_sent(packet, flow.iface)


def test_option_soup(check):
    """Any bytes where options are."""
    for flow in check.flows(lambda service: service.family == 4):
        for _ in range(12):
            options = rng.randbytes(4 * rng.randrange(1, 11))
            check.forwarded(flow, flow.from_client(b"soup", options=[Raw(options)]))
        if flow.service.l4 is TCP:
            for _ in range(12):
                soup = Raw(rng.randbytes(4 * rng.randrange(0, 11)))
                packet = flow.from_client(b"")
                packet[TCP].dataofs = 5 + len(soup) // 4
                check.forwarded(flow, packet / soup)


def test_chain_soup(check):
    """Chains of IPv6's headers that are too long, lie, or lead elsewhere."""
    dest, hop = IPv6ExtHdrDestOpt(options=[PAD]), IPv6ExtHdrHopByHop(options=[PAD])
    long = IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(220))])
    on_its_way = IPv6ExtHdrRouting(type=0, segleft=1, addresses=["2001:db8::1"])
    for flow in check.flows(lambda service: service.family == 6):
        for ext in ([dest] * 9, [dest] * 20, [long], [hop, long, dest], [on_its_way],
                    [IPv6ExtHdrFragment(id=3), IPv6ExtHdrFragment(id=4)]):
            packet = flow.from_client(b"chain", ext=ext)
            check.passes(packet, flow.iface)
        for length in 1, 2, 5, 30, 255:
            lying = dest.copy()
            lying.len = length
            check.not_sent(flow.from_client(b"chain", ext=[lying]), flow.iface)
            check.not_sent(flow.from_client(b"chain", ext=[hop, lying, dest]), flow.iface)
        for number in 0, 43, 44, 50, 51, 59, 60, 135, 139, 140, 253:
            other = dest.copy()
            other.nh = number
            check.not_sent(flow.from_client(bytes(8), ext=[hop, other]), flow.iface)


def test_fuzz(check):
    """Good frames with a few bytes changed: whatever leaves has to be explained."""
    for flow in check.flows():
        frames = [(built(packet), iface) for packet, iface in sides(flow, rng.randbytes(20))]
        about = About(flow, False)
        frames.append((bytes(about.error(ERRORS[flow.service.family][3], 60)), about.iface))
        for _ in range(60):
            frame, iface = rng.choice(frames)
            bad = bytearray(frame)
            for _ in range(rng.randrange(1, 4)):
                at = rng.randrange(12, min(len(bad), 100))
                bad[at] = rng.choice((0, 0xff, bad[at] ^ 1 << rng.randrange(8), rng.randrange(256)))
            explain(check, flow, bytes(bad), iface)
