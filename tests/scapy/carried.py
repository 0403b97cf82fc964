# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Packets of flows, as clients and backends send them."""
import random

from scapy.layers.inet import TCP, UDP, in4_chksum
from scapy.layers.inet6 import (IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting,
                                PadN, in6_chksum)
from scapy.packet import Raw

from fragments import Datagram
from model import Flow, built, family_of, ip_of

SYN_OPTIONS = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1234567, 0)), ("NOP", None),
               ("WScale", 7)]
DATA_OPTIONS = [("NOP", None), ("NOP", None), ("Timestamp", (1234567, 7654321)), ("NOP", None),
                ("NOP", None), ("SAck", (100, 200, 300, 400))]
PAYLOADS = (1, 2, 7, 255, 1201)
rng = random.Random(4711)


def both(check, flow, payload, l4=None, **fields):
    """The same from either side, as far as replies pass here."""
    check.forwarded(flow, flow.from_client(payload, l4, **fields))
    if flow.service.is_pair:
        check.replied(flow, flow.from_backend(payload, l4, **fields))


def test_tcp(check):
    for service in check.services:
        if service.l4 is not TCP:
            continue
        flow = Flow(service)
        check.where = str(flow)
        check.forwarded(flow, flow.from_client(
            l4={"flags": "SEC", "seq": 999, "ack": 0, "options": SYN_OPTIONS}))
        if service.is_pair:
            check.replied(flow, flow.from_backend(
                l4={"flags": "SAE", "seq": 5000, "ack": 1000, "options": SYN_OPTIONS}))
        both(check, flow, b"")
        for size in PAYLOADS:
            both(check, flow, rng.randbytes(size), {"options": DATA_OPTIONS, "flags": "PA"})
        for flags in "A", "PA", "UPA", "AE", "AC":
            both(check, flow, b"x" * 10, {"flags": flags, "urgptr": 3, "window": 17, "reserved": 5})
        for flags in "FA", "RA", "R":
            both(check, flow, b"", {"flags": flags})


def test_udp(check):
    for flow in check.flows(lambda service: service.l4 is UDP):
        both(check, flow, b"")
        for size in PAYLOADS:
            both(check, flow, rng.randbytes(size))
            both(check, flow, rng.randbytes(size), {"chksum": 0})


def test_header_fields(check):
    """TTL, TOS with ECN, identification, flags, flow label; and of these a tunnel's outside."""
    for flow in check.flows():
        for tos in 0, 1, 2, 3, 0xb8, 0xbb, 0xfc, 0xff:
            both(check, flow, b"tos", tos=tos)
        for ttl in 2, 3, 128, 255:
            both(check, flow, b"ttl", ttl=ttl)
        if flow.service.family == 6:
            for label in 1, 0x12345, 0xfffff:
                both(check, flow, b"label", fl=label, tos=0x2e)
            continue
        for number in 0, 1, 0x00ff, 0xff00, 0xffff:
            both(check, flow, b"id", id=number)
        for flags in 0, "DF", "evil", "DF+evil":
            both(check, flow, b"flags", flags=flags, id=77)


def test_padding(check):
    """What Ethernet adds to a short packet is no part of it."""
    for flow in check.flows():
        for trailer in bytes(6), b"\xff" * 5, rng.randbytes(46):
            check.forwarded(flow, flow.from_client(b"odd"), trailer)
            if flow.service.is_pair:
                check.replied(flow, flow.from_backend(b"odd"), trailer)


def test_options4(check):
    """IPv4's options stay what they are."""
    for flow in check.flows(lambda service: service.family == 4):
        for options in (b"\x01" * 4, b"\x94\x04\x00\x00", b"\x01\x01\x01\x00",
                        b"\x44\x0c\x05\x00" + bytes(8), b"\x07\x27\x04" + bytes(36) + b"\x00",
                        b"\x86\x04\x00\x01", b"\xff" * 40):
            both(check, flow, b"options", options=[Raw(options)])


def extensions():
    """Chains of headers that are no obstacle."""
    pad = PadN(optdata=bytes(4))
    hop, dest = IPv6ExtHdrHopByHop(options=[pad]), IPv6ExtHdrDestOpt(options=[pad])
    long = IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(100))])
    done = IPv6ExtHdrRouting(type=0, segleft=0, addresses=["2001:db8::1"])
    return ([hop], [dest], [done], [hop, dest, done, dest], [dest] * 8, [hop, long])


def test_extensions6(check):
    for flow in check.flows(lambda service: service.family == 6):
        for ext in extensions():
            both(check, flow, b"extensions", ext=ext)
            both(check, flow, b"", ext=ext, tos=3, ttl=9)


def zero_sum(flow, packet):
    """The packet with a payload that makes the checksum 0 of what it becomes."""
    out = flow.to_backend(packet) if packet.src == flow.mac else flow.to_client(packet)
    layer = out[flow.service.l4]
    layer.chksum = 0
    data = built(layer)[:-2] + bytes(2)
    number = 6 if flow.service.l4 is TCP else 17
    total = in4_chksum(number, ip_of(out), data) if family_of(out) == 4 else \
        in6_chksum(number, ip_of(out), data)
    packet[Raw].load = packet[Raw].load[:-2] + total.to_bytes(2, "big")
    return packet


def test_zero_checksum(check):
    """0 means none for UDP, whose sum of 0 is sent as 0xffff; TCP's 0 is like any other."""
    for flow in check.flows(lambda service: service.is_pair):
        number, payload = (6, "TCP") if flow.service.l4 is TCP else (17, "UDP")
        for size in 2, 10, 500:
            packet = zero_sum(flow, flow.from_client(rng.randbytes(size)))
            check.forwarded(flow, packet)
            built = bytes(flow.to_backend(packet)[payload])[16 if number == 6 else 6:][:2]
            if built != (b"\0\0" if number == 6 else b"\xff\xff"):
                check.fail("the case isn't one: %s" % built.hex())
            check.replied(flow, zero_sum(flow, flow.from_backend(rng.randbytes(size))))


def test_zero_fragments(check):
    """UDP's rule holds for fragments, too."""
    for flow in check.flows(lambda service: service.is_pair and service.l4 is UDP):
        for by_client in True, False:
            datagram = Datagram(flow, by_client, 64, 200)
            zero_sum(flow, datagram.whole)
            datagram.pieces = datagram.cut(datagram.whole)
            for index in range(len(datagram.pieces)):
                datagram.send(check, index)


def test_zero_outer_checksum(check):
    """The same of gue's, whose 0 would mean that there is none."""
    for flow in check.flows(lambda its: its.method == "gue" and its.backend_family == 6):
        is_v6 = flow.service.family == 6
        if not is_v6 and flow.service.l4 is TCP:
            continue  # nothing in it can be chosen so
        for size in 2, 64:
            packet = flow.from_client(bytes(size), {} if is_v6 else {"chksum": 0})
            outer = flow.to_backend(packet)
            total = int.from_bytes(built(outer)[60:62], "big")
            if is_v6:
                ip_of(packet).fl = total
            else:
                packet[Raw].load = bytes(size - 2) + total.to_bytes(2, "big")
            if built(flow.to_backend(packet))[60:62] != b"\xff\xff":
                check.fail("the case isn't one")
            check.forwarded(flow, packet)


def partial(packet):
    """The packet as a local stack leaves it: its checksum is that of the pseudo header alone."""
    out = packet.copy()
    layer = out[TCP] if TCP in out else out[UDP]
    layer.chksum = 0
    data = built(layer)
    number = 6 if TCP in out else 17
    if family_of(out) == 4:
        total = in4_chksum(number, ip_of(out), bytes(len(data)))
    else:
        total = in6_chksum(number, ip_of(out), bytes(len(data)))
    layer.chksum = total ^ 0xffff
    return out


def test_partial_checksum(check):
    """Native mode completes it; generic mode leaves it so, for the addresses as they become."""
    for service in check.services:
        flow = Flow(service)
        check.where = str(flow)
        for number, size in enumerate((0, 1, 2, 31, 32, 257, 1000)):
            l4 = {"flags": "S", "ack": 0} if service.l4 is TCP and not number else {}
            packet = flow.from_client(rng.randbytes(size), l4)
            frame = bytes(partial(packet))
            result = check.lab.run(frame, flow.iface)
            if flow.sport is None and not flow.learn(result.frame):
                check.fail("no port to be learnt", frame, None, result.frame)
                break
            expected = flow.to_backend(packet)
            if check.is_generic and service.is_tunnel:
                # The outer checksum is of what the stack will complete.
                inner = bytes(ip_of(partial(with_hop(packet))))
                expected = built(expected)[:-len(inner)] + inner
            elif check.is_generic:
                expected = partial(expected)
            check.sent(frame, flow.iface, result, built(expected), service.iface)
            if service.is_pair and size > 1 and not size % 2:
                packet = zero_sum(flow, packet)
                expected = flow.to_backend(packet)
                if check.is_generic:
                    expected = partial(expected)
                check.becomes(built(partial(packet)), flow.iface, built(expected), service.iface)
            if service.is_pair:
                packet = flow.from_backend(rng.randbytes(size), {"flags": "SA"} if l4 else {})
                expected = flow.to_client(packet)
                if check.is_generic:
                    expected = partial(expected)
                check.becomes(bytes(partial(packet)), service.iface, built(expected), flow.iface)


def with_hop(packet):
    out = packet.copy()
    if family_of(out) == 4:
        ip_of(out).ttl -= 1
    else:
        ip_of(out).hlim -= 1
    return out


def test_short_udp(check):
    """A datagram may end before its packet does (RFC 768's length, not IP's)."""
    for flow in check.flows(lambda service: service.l4 is UDP):
        for extra in 1, 2, 13:
            for sides in ("from_client", "to_backend"), ("from_backend", "to_client"):
                if sides[0] == "from_backend" and not flow.service.is_pair:
                    continue
                packet = short(getattr(flow, sides[0])(b"datagram"), extra)
                expected = getattr(flow, sides[1])(packet)
                if not flow.service.is_tunnel:
                    expected = short(expected, 0)
                ends = (flow.iface, flow.service.iface)
                ends = ends if sides[0] == "from_client" else ends[::-1]
                check.becomes(built(packet), ends[0], built(expected), ends[1])


def short(packet, extra):
    """So many bytes more behind the datagram; its own length and checksum are as without them."""
    out = packet.copy()
    udp = out[UDP]
    if extra:
        udp.len = 8 + len(udp.payload)
        udp.payload = Raw(bytes(udp.payload) + b"\xa5" * extra)
    udp.chksum = 0
    data = bytes(udp)[:udp.len]
    out[UDP].chksum = (in4_chksum(17, ip_of(out), data) if family_of(out) == 4 else
                       in6_chksum(17, ip_of(out), data)) or 0xffff
    return out


def test_merged(check):
    """Longer than any MTU: generic mode sees what will be cut up again."""
    if not check.is_generic:
        return
    for flow in check.flows(lambda service: service.l4 is TCP):
        both(check, flow, rng.randbytes(3000))
