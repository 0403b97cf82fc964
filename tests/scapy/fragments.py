# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Fragments: scapy cuts what goes in and what has to come out, each at the same places."""
import itertools
import random

from scapy.layers.inet import IP, TCP, UDP, defragment, fragment
from scapy.layers.inet6 import (IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
                                PadN, defragment6, fragment6)
from scapy.packet import Raw

import lab
from model import Flow, built, hop, ip_of

numbers = itertools.count(1)
rng = random.Random(4712)
HOP = IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))])
DEST = IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))])


class Datagram:
    """A packet from one side of a flow, in pieces, and its pieces as they have to leave."""

    def __init__(self, flow, by_client, size, payload, before=(), behind=(), number=None,
                 **fields):
        self.flow, self.by_client, self.size = flow, by_client, size
        self.is_v6 = flow.service.family == 6
        number = number or next(numbers)
        if self.is_v6:
            fields["ext"] = [*before, IPv6ExtHdrFragment(id=0x10000 + number), *behind]
        else:
            fields["id"] = number
        self.number = 0x10000 + number if self.is_v6 else number
        make = flow.from_client if by_client else flow.from_backend
        self.whole = make(rng.randbytes(payload), **fields)
        self.header = sum(len(header) for header in before)
        self.pieces = self.cut(self.whole)
        self.new_number = None if flow.service.is_pair else self.number
        self.left = []
        self.expecteds = None

    @property
    def ends(self):
        ends = self.flow.iface, self.flow.service.iface
        return ends if self.by_client else ends[::-1]

    def cut(self, packet):
        if not self.is_v6:
            return list(fragment(packet, self.size))
        return list(fragment6(packet, 14 + 40 + self.header + 8 + self.size))

    def number_in(self, frame):
        if not self.is_v6:
            return int.from_bytes(frame[18:20], "big")
        packet = IPv6(frame[14:])
        return packet[IPv6ExtHdrFragment].id if IPv6ExtHdrFragment in packet else None

    def expected_whole(self):
        out = (self.flow.to_backend if self.by_client else self.flow.to_client)(self.whole)
        if self.is_v6:
            out[IPv6ExtHdrFragment].id = self.new_number
        else:
            ip_of(out).id = self.new_number
        return out

    def expected(self, index):
        if not self.flow.service.is_pair:
            return self.flow.to_backend(self.pieces[index])
        if not self.expecteds:
            self.expecteds = self.cut(self.expected_whole())
        return self.expecteds[index]

    def expected_alone(self, index):
        """Of a later piece whose first is lost: a checksum in it stays what it was."""
        if not self.flow.service.is_pair:
            return self.expected(index)
        out = self.flow.to_backend(self.pieces[index])
        if self.is_v6:
            out[IPv6ExtHdrFragment].id = self.new_number
        else:
            ip_of(out).id = self.new_number
        return out

    def send(self, check, index, trailer=b"", alone=False):
        frame = built(self.pieces[index]) + trailer
        result = check.lab.run(frame, self.ends[0])
        if self.new_number is None:
            self.new_number = self.number_in(result.frame)
        if self.new_number is None:
            check.fail("no identification: %s %s" % (result.action, result.drops), frame)
            return False
        self.left.append(result.frame[:len(result.frame) - len(trailer)])
        expected = self.expected_alone(index) if alone else self.expected(index)
        return check.sent(frame, self.ends[0], result, built(expected) + trailer, self.ends[1])

    def together(self, check):
        """Scapy makes of the pieces what it makes of the whole."""
        skip = 14 + self.flow.service.overhead
        layer = IPv6 if self.is_v6 else IP
        pieces = [layer(frame[skip:]) for frame in self.left]
        if self.is_v6:
            pieces.sort(key=lambda piece: piece[IPv6ExtHdrFragment].offset)
            got = bytes(defragment6(pieces))
        else:
            got = bytes(list(defragment(pieces))[0])
        if self.flow.service.is_pair:
            expected = self.expected_whole()
        else:
            expected = hop(self.whole, self.whole.src, self.whole.dst)
        expected = without_fragment(expected)
        if got != bytes(ip_of(expected)):
            check.fail("not the datagram that was cut", b"", bytes(ip_of(expected)), got)


def without_fragment(packet):
    out = packet.copy()
    if IPv6ExtHdrFragment in out:
        header = out[IPv6ExtHdrFragment]
        before = header.underlayer
        rest = header.payload
        before.remove_payload()
        before.add_payload(rest)
    return out


def datagrams(check, size, payload, **fields):
    for flow in check.flows():
        yield Datagram(flow, True, size, payload, **fields)
        if flow.service.is_pair:
            yield Datagram(flow, False, size, payload, **fields)


def test_in_order(check):
    for size, payload in (512, 1300), (64, 150), (1208, 2000):
        for datagram in datagrams(check, size, payload):
            for index in range(len(datagram.pieces)):
                datagram.send(check, index)
            datagram.together(check)


def test_any_order(check):
    """Once the first has been seen."""
    for datagram in datagrams(check, 128, 1100):
        rest = list(range(1, len(datagram.pieces)))
        rng.shuffle(rest)
        for index in [0] + rest:
            datagram.send(check, index, rng.randbytes(index % 3 * 7))
        datagram.together(check)


def test_numbers(check):
    """Where many senders become one, datagrams that have one identification get their own."""
    seen = set()
    for service in check.services:
        if not service.is_pair:
            continue
        for client in lab.CLIENT, lab.REMOTE:
            flow = check.open(service, client[service.family])
            datagram = Datagram(flow, True, 256, 300, number=0x4242)
            datagram.send(check, 0)
            datagram.send(check, 1)
            key = datagram.is_v6, datagram.new_number
            if key in seen:
                check.fail("identification %#x twice" % datagram.new_number)
            seen.add(key)


def test_many_clients(check):
    """At the same time, with one identification: each datagram stays what it is."""
    for service in check.services:
        if service.method != "fullnat" or service.place != "far" or service.l4 is not UDP:
            continue
        datagrams_of = []
        pattern = "198.18.%d.%d" if service.family == 4 else "2001:db8:52::%x:%x"
        for number in rng.sample(range(0xffff), 300):
            flow = Flow(service, lab.REMOTE[service.family])
            # Of IPv6 both bytes of a word: the last ones alone fall into too few sets.
            flow.client = pattern % (divmod(number, 256) if service.family == 4 else
                                     (number, rng.randrange(0xffff)))
            check.where = str(flow)
            datagrams_of.append(Datagram(flow, True, 64, 100, number=0x4343))
            check.forwarded(flow, flow.from_client())
            datagrams_of[-1].send(check, 0)
        for datagram in datagrams_of:
            check.where = str(datagram.flow)
            datagram.send(check, 1)


def test_extensions(check):
    """Headers before and behind the fragment header."""
    for flow in check.flows(lambda service: service.family == 6):
        for before, behind in ([HOP], []), ([], [DEST]), ([HOP, DEST], [DEST]):
            datagram = Datagram(flow, True, 128, 400, before, behind, tos=3, ttl=7)
            for index in range(len(datagram.pieces)):
                datagram.send(check, index)
            datagram.together(check)


def test_atomic(check):
    """A fragment header on a packet that is whole (RFC 6946)."""
    for flow in check.flows(lambda service: service.family == 6):
        for header in IPv6ExtHdrFragment(id=7), IPv6ExtHdrFragment(id=0xffffffff, res1=0xff, res2=3):
            check.forwarded(flow, flow.from_client(b"atomic", ext=[header]))
            if flow.service.is_pair:
                check.replied(flow, flow.from_backend(b"atomic", ext=[HOP, header, DEST]))


def test_no_checksum(check):
    for datagram in datagrams(check, 256, 700, tos=0xb9, ttl=3):
        flow = datagram.flow
        if flow.service.l4 is not UDP:
            continue
        datagram.whole[UDP].chksum = 0
        datagram.pieces = datagram.cut(datagram.whole)
        for index in range(len(datagram.pieces)):
            datagram.send(check, index)
        datagram.together(check)


def test_early(check):
    """Before the first, and no daemon: the host's where the address may be its own, else dropped."""
    for datagram in datagrams(check, 256, 700):
        service = datagram.flow.service
        is_hosts = service.is_local if datagram.by_client else True
        for index in 2, 1, 2:
            if is_hosts:
                check.passes(datagram.pieces[index], datagram.ends[0])
            else:
                check.drops(datagram.pieces[index], datagram.ends[0], "fragment_early")
        for index in 0, 1, 2:
            datagram.send(check, index)


def test_overlap(check):
    for datagram in datagrams(check, 256, 700):
        datagram.send(check, 0)
        datagram.send(check, 1)
        for index in 0, 1:
            check.drops(datagram.pieces[index], datagram.ends[0], "fragment_overlap")
        moved = datagram.pieces[2].copy()
        header = moved[IPv6ExtHdrFragment] if datagram.is_v6 else ip_of(moved)
        if datagram.is_v6:
            header.offset -= 8
        else:
            header.frag -= 8
        check.drops(moved, datagram.ends[0], "fragment_overlap")


def test_tiny(check):
    """A first fragment without all of the transport header (RFC 1858)."""
    for flow in check.flows(lambda service: service.l4 is TCP):
        for size in 8, 16:
            datagram = Datagram(flow, True, size, 100)
            check.drops(datagram.pieces[0], flow.iface, "fragment_tiny")
            datagram.send(check, 1, alone=True)
            datagram.send(check, 2, alone=True)


def test_hidden(check):
    """A first fragment that ends before its transport header, which follows as Ethernet's padding."""
    for flow in check.flows(lambda service: service.family == 6):
        layer = flow.from_client(bytes(8))[flow.service.l4]
        last = DEST.copy()
        last.nh = 6 if flow.service.l4 is TCP else 17
        header = IPv6ExtHdrFragment(id=0x20000 + next(numbers), m=1)
        packet = flow.packet(flow.client, flow.service.vip, flow.mac, flow.from_client().dst,
                             Raw(b""), ext=[header, last])
        check.not_sent(built(packet) + bytes(layer), flow.iface)  # nobody can tell whose it is


def test_lying(check):
    """Pieces that can't be: of no whole units though more follow, and beyond 65535 bytes."""
    for datagram in datagrams(check, 256, 700):
        datagram.send(check, 0)
        for size, offset, more in (13, 40, 1), (0, 40, 1), (0, 40, 0), (80, 0x1fff, 0), (80, 0x1fff, 1):
            packet = datagram.pieces[1].copy()
            if datagram.is_v6:
                header = packet[IPv6ExtHdrFragment]
                header.offset, header.m = offset, more
            else:
                header = ip_of(packet)
                header.frag, header.flags = offset, "MF" * more
            header.remove_payload()
            check.not_sent(packet / Raw(bytes(size)), datagram.ends[0])
        for index in range(1, len(datagram.pieces)):
            datagram.send(check, index)
