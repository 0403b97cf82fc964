# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What the data path has to make of a packet, said in layers of scapy: these compute every length
and checksum from scratch. A packet is an unbuilt one; translating is changing fields of a copy."""
import itertools

from scapy.fields import BitField, ByteEnumField, ShortField
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

import lab

GUE_PORT = 6080
PORTS_SNAT = set(range(1024, 32768)) | set(range(61000, 65536))  # outside ip_local_port_range
PROTOS = {TCP: 6, UDP: 17}
ports_client = itertools.count(20000)


class GUE(Packet):
    """draft-ietf-intarea-gue-09, 3.1"""
    fields_desc = [BitField("variant", 0, 2), BitField("control", 0, 1), BitField("hlen", 0, 5),
                   ByteEnumField("proto", 4, {4: "IPv4", 41: "IPv6"}), ShortField("flags", 0)]


def ip_of(packet):
    return packet[1]


def built(packet):
    """Its bytes, without scapy's search for fields that stand for many values."""
    if isinstance(packet, bytes):
        return packet
    layer = packet
    while layer:
        layer.explicit = 1
        layer = layer.payload
    return bytes(packet)


def family_of(packet):
    return 4 if isinstance(ip_of(packet), IP) else 6


class Service:
    """A VIP with one backend. place: where that is, a key of lab.BACKEND."""
    numbers = itertools.count(100)

    def __init__(self, method, family, backend_family, place, l4, is_local):
        number = next(self.numbers)
        self.method, self.family, self.place, self.l4 = method, family, place, l4
        self.is_local = is_local
        self.vip = ("192.0.2.%d" if family == 4 else "2001:db8:1::%d") % number
        self.backend = lab.BACKEND[place][backend_family]
        self.backend_family = backend_family
        self.vport = 80 if l4 is TCP else 53
        self.bport = self.vport + 8000 if self.is_pair else self.vport
        self.iface, self.mac = lab.way_to(self.backend)
        self.own = lab.OWN[self.iface][backend_family]  # the balancer's address toward it

    def __str__(self):
        return "%s %d in %d %s %s" % (self.method, self.family, self.backend_family, self.place,
                                      self.l4.__name__)

    @property
    def is_pair(self):
        return self.method in ("fullnat", "nat")

    @property
    def is_tunnel(self):
        return self.method in ("ipip", "gue")

    @property
    def overhead(self):
        if not self.is_tunnel:
            return 0
        return (20 if self.backend_family == 4 else 40) + (12 if self.method == "gue" else 0)

    @property
    def path_mtu(self):
        """The longest packet of a client that fits."""
        return lab.MTU[self.iface] - self.overhead

    def where(self, address, port):
        address = "[%s]" % address if ":" in address else address
        return "%s:%d/%s" % (address, port, self.l4.__name__.lower())


class Flow:
    """A client's connection. What the balancer chooses is read from its first packet."""

    def __init__(self, service, client=None):
        self.service = service
        self.client = client or lab.CLIENT[service.family]
        self.cport = next(ports_client)
        self.iface, self.mac = lab.way_to(self.client)
        self.sport = None  # toward the backend; of gue the outer one
        self.label = 0  # of an outer IPv6 header
        if service.method == "nat":
            self.sport = self.cport
        self.seq = 1000

    def __str__(self):
        return "%s from %s:%d" % (self.service, self.client, self.cport)

    @property
    def source(self):
        """As the backend knows the client."""
        return self.service.own if self.service.method == "fullnat" else self.client

    def packet(self, src, dst, smac, dmac, payload, tos=0, ttl=64, ext=(), **fields):
        if self.service.family == 4:
            layer = IP(src=src, dst=dst, tos=tos, ttl=ttl, **fields)
        else:
            layer = IPv6(src=src, dst=dst, tc=tos, hlim=ttl, **fields)
        packet = Ether(src=smac, dst=dmac) / layer
        for header in ext:
            packet = packet / header.copy()
        return packet / payload

    def layer(self, sport, dport, fields):
        if self.service.l4 is UDP:
            return UDP(sport=sport, dport=dport, **fields)
        fields = {"seq": self.seq, "ack": 5001, "flags": "A", **fields}
        return TCP(sport=sport, dport=dport, **fields)

    def from_client(self, payload=b"", l4=None, **fields):
        service = self.service
        layer = self.layer(self.cport, service.vport, l4 or {})
        return self.packet(self.client, service.vip, self.mac, lab.MAC[self.iface],
                           layer / Raw(payload) if payload else layer, **fields)

    def from_backend(self, payload=b"", l4=None, **fields):
        """A reply as the backend sends it to the balancer."""
        service = self.service
        layer = self.layer(service.bport, self.sport, l4 or {})
        return self.packet(service.backend, self.source, service.mac, lab.MAC[service.iface],
                           layer / Raw(payload) if payload else layer, **fields)

    def direct_reply(self, payload=b"", l4=None, **fields):
        """What the client sees, whoever sent it."""
        service = self.service
        layer = self.layer(service.vport, self.cport, l4 or {})
        return self.packet(service.vip, self.client, lab.MAC[self.iface], self.mac,
                           layer / Raw(payload) if payload else layer, **fields)

    def to_backend(self, packet):
        """What this packet of the client's has to become."""
        out = hop(packet, lab.MAC[self.service.iface], self.service.mac)
        if self.service.is_tunnel:
            return self.outer(out)
        if self.service.is_pair:
            ip_of(out).src, ip_of(out).dst = self.source, self.service.backend
            self.set_ports(out, self.sport, self.service.bport)
        return out

    def to_client(self, packet):
        """What this reply has to become."""
        out = hop(packet, lab.MAC[self.iface], self.mac)
        ip_of(out).src, ip_of(out).dst = self.service.vip, self.client
        self.set_ports(out, self.service.vport, self.cport)
        return out

    def set_ports(self, packet, sport, dport):
        for layer in TCP, UDP:
            if layer in packet:  # not in a later fragment
                packet[layer].sport, packet[layer].dport = sport, dport

    def outer(self, packet):
        """Behind the outer header of the method; what is marked inside is so outside."""
        service, inner = self.service, ip_of(packet)
        proto = 4 if service.family == 4 else 41
        tos = inner.tos if service.family == 4 else inner.tc
        number = 17 if service.method == "gue" else proto
        if service.backend_family == 4:
            layer = IP(src=service.own, dst=service.backend, tos=tos, ttl=64, id=0, flags="DF",
                       proto=number)
        else:
            layer = IPv6(src=service.own, dst=service.backend, tc=tos, fl=self.label, hlim=64,
                         nh=number)
        if service.method == "gue":
            layer = layer / UDP(sport=self.sport, dport=GUE_PORT) / GUE(proto=proto)
            if service.backend_family == 4:
                layer[UDP].chksum = 0
        return Ether(src=packet.src, dst=packet.dst) / layer / Raw(built(inner))

    def learn(self, frame):
        """What the balancer chose: port, flow label."""
        service = self.service
        if service.method in ("ipip", "gue") and service.backend_family == 6 and not self.label:
            self.label = int.from_bytes(frame[15:18], "big") & 0xfffff
        if self.sport or service.method not in ("fullnat", "gue"):
            return True
        offset = 14 + (20 if service.backend_family == 4 else 40)
        if service.method == "fullnat":
            first = IP(frame[14:]) if service.family == 4 else IPv6(frame[14:])
            if service.l4 not in first:
                return False
            self.sport = first[service.l4].sport
            return self.sport in PORTS_SNAT
        self.sport = int.from_bytes(frame[offset:offset + 2], "big")
        return self.sport >= 0xc000


def hop(packet, smac, dmac):
    out = packet.copy()
    out.src, out.dst = smac, dmac
    if family_of(out) == 4:
        ip_of(out).ttl -= 1
    else:
        ip_of(out).hlim -= 1
    return out


def services():
    """All methods and families; of some the backend is elsewhere, or the VIP is the host's own."""
    kinds = [(method, family, family, "far", False) for method in ("fullnat", "nat", "dsr")
             for family in (4, 6)]
    kinds += [(method, family, other, "far", False) for method in ("ipip", "gue")
              for family in (4, 6) for other in (4, 6)]
    kinds += [("fullnat", 4, 4, "near", True), ("fullnat", 6, 6, "near", True),
              ("fullnat", 4, 4, "routed", False), ("fullnat", 6, 6, "routed", False),
              ("nat", 4, 4, "routed", True), ("dsr", 4, 4, "near", True),
              ("dsr", 6, 6, "near", False), ("ipip", 4, 4, "near", True),
              ("ipip", 6, 4, "routed", False), ("gue", 4, 6, "routed", False)]
    return [Service(*kind[:4], l4, kind[4]) for kind in kinds for l4 in (TCP, UDP)]
