// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The services of the tests, and writing them into the maps. */
#include "fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "frame.h"
#include "half.h"
#include "lb.skel.h"
#include "local_table.h"

#define HOST_TCP(number, ...)                                              \
	{                                                                  \
		.vip = LAB_HOST, .port = number, .proto = TCP, __VA_ARGS__ \
	}

#define IPIP_TCP(number, ...) HOST_TCP(number, .method = LB_METHOD_IPIP, __VA_ARGS__)

const struct service services[SERVICES] = {
	[SVC_TCP] = HOST_TCP(80, .backends = { { LAB_BACKEND_A, 8080, 1 },
					       { LAB_BACKEND_B, 8081, 1 } }),
	[SVC_UDP] = { .vip = LAB_HOST,
		      .port = 53,
		      .proto = UDP,
		      .backends = { { LAB_BACKEND_A, 5353, 1 }, { LAB_BACKEND_B, 53, 1 } } },
	[SVC_ANY] = { .vip = LAB_VIP2, .proto = TCP, .backends = { { LAB_BACKEND_A, 0, 1 } } },
	[SVC_ANY_UDP] = { .vip = LAB_VIP2, .proto = UDP, .backends = { { LAB_BACKEND_A, 0, 1 } } },
	[SVC_ANY_80] = { .vip = LAB_VIP2,
			 .port = 80,
			 .proto = TCP,
			 .backends = { { LAB_BACKEND_B, 80, 1 } } },
	[SVC_FAR] = HOST_TCP(81, .backends = { { LAB_FAR_BACKEND, 80, 1 } }),
	[SVC_EMPTY] = HOST_TCP(82, .backends = {}),
	[SVC_NO_SNAT] = HOST_TCP(83, .no_snat = true, .backends = { { LAB_BACKEND_A, 83, 1 } }),
	[SVC_DARK] = HOST_TCP(84, .backends = { { LAB_DARK_SERVER, 84, 1 } }),
	[SVC_BLACKHOLE] = HOST_TCP(85, .backends = { { LAB_BLACKHOLE, 80, 1 } }),
	[SVC_UNREACHABLE] = HOST_TCP(86, .backends = { { LAB_UNREACHABLE, 80, 1 } }),
	[SVC_PROHIBIT] = HOST_TCP(87, .backends = { { LAB_PROHIBIT, 80, 1 } }),
	[SVC_NOWHERE] = HOST_TCP(88, .backends = { { LAB_NOWHERE, 80, 1 } }),
	[SVC_LOCAL] = HOST_TCP(89, .backends = { { LAB_HOST, 8089, 1 } }),
	[SVC_SNATS] = HOST_TCP(90, .snat = { LAB_SNAT_A, LAB_SNAT_B },
			       .backends = { { LAB_BACKEND_A, 90, 1 } }),
	[SVC_WEIGHTED] =
		HOST_TCP(91, .backends = { { LAB_BACKEND_A, 91, 3 }, { LAB_BACKEND_B, 91, 1 } }),
	[SVC_SOLO] = HOST_TCP(92, .backends = { { LAB_BACKEND_A, 92, 1 } }),
	[SVC_SOLO_UDP] = { .vip = LAB_HOST,
			   .port = 92,
			   .proto = UDP,
			   .backends = { { LAB_BACKEND_A, 92, 1 } } },
	[SVC_IPIP] =
		IPIP_TCP(93, .backends = { { LAB_BACKEND_A, 93, 1 }, { LAB_BACKEND_B, 93, 1 } }),
	[SVC_IPIP_UDP] = { .vip = LAB_HOST,
			   .port = 93,
			   .proto = UDP,
			   .method = LB_METHOD_IPIP,
			   .backends = { { LAB_BACKEND_A, 93, 1 }, { LAB_BACKEND_B, 93, 1 } } },
	[SVC_IPIP_FAR] = IPIP_TCP(94, .backends = { { LAB_FAR_BACKEND, 94, 1 } }),
	[SVC_IPIP_SOLO] = IPIP_TCP(95, .backends = { { LAB_BACKEND_A, 95, 1 } }),
	[SVC_IPIP_NO_SNAT] =
		IPIP_TCP(96, .no_snat = true, .backends = { { LAB_BACKEND_A, 96, 1 } }),
	[SVC_IPIP_SNATS] = IPIP_TCP(99, .snat = { LAB_SNAT_A, LAB_SNAT_B },
				    .backends = { { LAB_BACKEND_A, 99, 1 } }),
	[SVC_DSR_ROUTED] =
		HOST_TCP(97, .method = LB_METHOD_DSR, .backends = { { LAB_REMOTE, 97, 1 } }),
	[SVC_SOURCE] = HOST_TCP(98, .hash = LB_HASH_SOURCE,
				.backends = { { LAB_BACKEND_A, 98, 1 },
					      { LAB_BACKEND_B, 98, 1 } }),
};

const uint32_t fixture_timeout_s[CT_STATES] = {
	[CT_SYN] = 61,	  [CT_ESTABLISHED] = 7001, [CT_FIN] = 121,
	[CT_CLOSED] = 62, [CT_UDP_NEW] = 31,	   [CT_UDP_ASSURED] = 181,
};

static const struct {
	uint32_t ip;
	uint16_t flags;
} locals[] = {
	{ 0, 0 }, /* id 0: none */
	{ LAB_HOST, LB_LOCAL_VIP | LB_LOCAL_SNAT },
	{ LAB_VIP2, LB_LOCAL_VIP },
	{ LAB_SNAT_A, LB_LOCAL_SNAT },
	{ LAB_SNAT_B, LB_LOCAL_SNAT },
	{ LAB_FAR_HOST, LB_LOCAL_SNAT },
	{ LAB_BACKEND_A, LB_LOCAL_NAT },
	{ LAB_BACKEND_B, LB_LOCAL_NAT },
	{ LAB_FAR_BACKEND, LB_LOCAL_NAT },
	{ LAB_DARK_SERVER, LB_LOCAL_NAT },
	{ LAB_BLACKHOLE, LB_LOCAL_NAT },
	{ LAB_UNREACHABLE, LB_LOCAL_NAT },
	{ LAB_PROHIBIT, LB_LOCAL_NAT },
	{ LAB_NOWHERE, LB_LOCAL_NAT },
};

#define LOCALS_N (sizeof(locals) / sizeof(*locals))

enum one_way fixture_one_way;
bool fixture_nat;

enum lb_method fixture__method(enum service_id id)
{
	static const enum lb_method methods[] = {
		[TUNNEL] = LB_METHOD_IPIP,	      [TUNNEL_OTHER] = LB_METHOD_IPIP,
		[DIRECT] = LB_METHOD_DSR,	      [UDP_TUNNEL] = LB_METHOD_GUE,
		[UDP_TUNNEL_OTHER] = LB_METHOD_GUE,
	};

	if (services[id].method == LB_METHOD_FULLNAT)
		return fixture_nat ? LB_METHOD_NAT : LB_METHOD_FULLNAT;
	return services[id].method == LB_METHOD_IPIP ? methods[fixture_one_way] :
						       services[id].method;
}

bool fixture__is_tunnel(enum service_id id)
{
	return fixture__method(id) == LB_METHOD_IPIP || fixture__method(id) == LB_METHOD_GUE;
}

bool fixture__backends_v6(enum service_id id)
{
	bool other = services[id].method == LB_METHOD_IPIP &&
		     (fixture_one_way == TUNNEL_OTHER || fixture_one_way == UDP_TUNNEL_OTHER);

	return frame_v6 != other;
}

static struct lb_addr addr_of(uint32_t ip, bool v6)
{
	struct lb_addr addr = {};

	if (v6)
		addr.w[0] = htonl(0x20010db8);
	else
		addr.w[2] = htonl(LB_V4_PREFIX);
	addr.w[3] = htonl(ip);
	return addr;
}

struct lb_addr fixture__addr(uint32_t ip)
{
	return addr_of(ip, frame_v6);
}

static uint16_t local_id_of(uint32_t ip, bool v6)
{
	uint16_t i;

	for (i = 1; i < LOCALS_N && locals[i].ip != ip; i++)
		;
	return v6 ? LOCALS_N + i : i;
}

uint16_t fixture__local_id(uint32_t ip)
{
	return local_id_of(ip, frame_v6);
}

struct lb_addr fixture__local_addr(uint16_t id)
{
	return fixture__addr(id % LOCALS_N ? locals[id % LOCALS_N].ip : 0);
}

struct ct_key fixture__key(uint8_t proto, uint32_t remote, uint16_t remote_port, uint32_t local,
			   uint16_t local_port)
{
	return (struct ct_key){
		.remote = fixture__addr(remote),
		.remote_port = htons(remote_port),
		.local_port = htons(local_port),
		.local = fixture__local_id(local),
		.ip_proto = proto,
	};
}

uint32_t fixture__backend_index(enum service_id id, int n)
{
	return 1 + id * SERVICE_BACKENDS + n;
}

struct lb_backend fixture__backend(struct fixture *fx, uint32_t index)
{
	struct lb_backend backend = {};

	bpf_map_lookup_elem(bpf_map__fd(fx->skel->maps.lb_backends), &index, &backend);
	return backend;
}

static struct lb_service_key service_key(enum service_id id)
{
	return (struct lb_service_key){
		.addr = fixture__addr(services[id].vip),
		.port = htons(services[id].port),
		.ip_proto = services[id].proto,
	};
}

static int put(struct bpf_map *map, const void *key, const void *value)
{
	return bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY) ? -errno : 0;
}

static int write_settings(struct fixture *fx)
{
	const uint16_t *ports = fx->ports, *replies = fx->reply_ports;
	struct lb_settings settings = {
		.layout = LB_LAYOUT_VERSION,
		.ports = { { ports[0], ports[1] }, { ports[2], ports[3] } },
		.reply_ports = { { replies[0], replies[1] }, { replies[2], replies[3] } },
		.table = fx->table,
		.sets = fx->table == LB_TABLE_ASSOC ? 1 << fx->sets_bits : 0,
		.fib_generation = fx->fib_generation,
		.nat = fixture_nat,
	};
	uint32_t zero = 0;
	int i;

	for (i = 0; i < CT_STATES; i++)
		settings.timeout[i] = ct_timeout_pack(fixture_timeout_s[i] * fx->hz);
	return put(fx->skel->maps.lb_settings, &zero, &settings);
}

int fixture__set_ports(struct fixture *fx, uint16_t lo, uint16_t hi, uint16_t lo2, uint16_t hi2)
{
	memcpy(fx->ports, (uint16_t[]){ lo, hi, lo2, hi2 }, sizeof(fx->ports));
	memcpy(fx->reply_ports, fx->ports, sizeof(fx->ports));
	return write_settings(fx);
}

int fixture__set_reply_ports(struct fixture *fx, uint16_t lo, uint16_t hi)
{
	memcpy(fx->reply_ports, (uint16_t[]){ lo, hi, 0, 0 }, sizeof(fx->reply_ports));
	return write_settings(fx);
}

int fixture__new_routes(struct fixture *fx)
{
	fx->fib_generation++;
	return write_settings(fx);
}

static int write_backend(struct fixture *fx, enum service_id id, int n, uint32_t ip)
{
	const struct service *service = &services[id];
	uint32_t index = fixture__backend_index(id, n), one = 1;
	bool v6 = fixture__backends_v6(id);
	struct lb_backend backend = {
		.addr = addr_of(ip, v6),
		.port = htons(service->backends[n].port),
		.vip = id,
		.gen = fx->gen[id][n],
		.ip_proto = service->proto,
		.snat = local_id_of(ip == LAB_FAR_BACKEND ? LAB_FAR_HOST : LAB_HOST, v6),
		.own = local_id_of(ip, v6) % LOCALS_N ? local_id_of(ip, v6) : 0,
	};
	struct lb_service_key key = {
		.addr = backend.addr,
		.port = backend.port,
		.ip_proto = service->proto,
	};
	struct lb_nexthop unknown = {};
	int err;

	if (service->no_snat || service->snat[0])
		backend.snat = 0;
	if (service->no_snat)
		backend.own = 0;
	err = put(fx->skel->maps.lb_backends, &index, &backend);
	if (!err)
		err = put(fx->skel->maps.lb_backend_nexthops, &index, &unknown);
	if (!err)
		err = put(fx->skel->maps.lb_backend_ports, &key, &one);
	return err;
}

int fixture__set_weights(struct fixture *fx, enum service_id id, unsigned int a, unsigned int b)
{
	struct lb_pool *pool = fx->pool;
	uint32_t zero = 0;
	size_t i;
	int n;

	memset(pool, 0, sizeof(*pool));
	for (n = 0; n < SERVICE_BACKENDS; n++) {
		pool->members[n].ref.index = fixture__backend_index(id, n);
		pool->members[n].ref.gen = fx->gen[id][n];
		pool->members[n].weight = n ? b : a;
	}
	fx->clean[id] = false;
	pool->members_n = SERVICE_BACKENDS;
	pool->slots_n = a + b ? LB_MAGLEV_SLOTS : 0;
	for (i = 0; i < pool->slots_n; i++)
		pool->slots[i] = pool->members[i % (a + b) >= a].ref;
	return bpf_map_update_elem(fx->pools[id], &zero, pool, BPF_ANY) ? -errno : 0;
}

int fixture__set_persist(struct fixture *fx, enum service_id id, uint32_t seconds)
{
	struct lb_service_key key = service_key(id);
	struct lb_vip vip;

	if (bpf_map_lookup_elem(bpf_map__fd(fx->skel->maps.lb_vips), &key, &vip))
		return -errno;
	vip.persist = seconds * fx->hz;
	return put(fx->skel->maps.lb_vips, &key, &vip);
}

void fixture__age_persist(struct fixture *fx, uint32_t seconds)
{
	int fd = bpf_map__fd(fx->skel->maps.lb_persists);
	struct lb_persist_key key, *last = NULL;
	struct lb_persist known;

	for (; !bpf_map_get_next_key(fd, last, &key); last = &key) {
		if (bpf_map_lookup_elem(fd, &key, &known))
			continue;
		known.at -= seconds * fx->hz;
		bpf_map_update_elem(fd, &key, &known, BPF_EXIST);
	}
}

int fixture__close_backend(struct fixture *fx, enum service_id id, int n)
{
	uint32_t index = fixture__backend_index(id, n);
	struct lb_backend backend;
	int fd = bpf_map__fd(fx->skel->maps.lb_backends);

	if (bpf_map_lookup_elem(fd, &index, &backend))
		return -errno;
	backend.closed = 1;
	fx->clean[id] = false;
	return bpf_map_update_elem(fd, &index, &backend, BPF_ANY);
}

int fixture__set_turns(struct fixture *fx, enum service_id id, unsigned int first)
{
	struct lb_pool *pool = fx->pool;
	int err = fixture__set_weights(fx, id, 1, 0);
	uint32_t zero = 0, i;

	pool->turns_n = first + 1;
	for (i = 0; i < pool->turns_n; i++)
		pool->turns[i] = pool->members[i == first].ref;
	return err || bpf_map_update_elem(fx->pools[id], &zero, pool, BPF_ANY);
}

int fixture__bump_backend(struct fixture *fx, enum service_id id, int n, int back)
{
	fx->gen[id][n]++; /* even: free */
	if (back)
		fx->gen[id][n]++;
	fx->clean[id] = false;
	return write_backend(fx, id, n, services[id].backends[n].ip);
}

int fixture__replace_backend(struct fixture *fx, enum service_id id, int n, uint32_t ip)
{
	fx->gen[id][n] += 2;
	fx->clean[id] = false;
	return write_backend(fx, id, n, ip);
}

int fixture__set_timeout(struct fixture *fx, enum service_id id, enum ct_state state,
			 uint32_t seconds)
{
	struct lb_service_key key = service_key(id);
	struct lb_vip vip;

	if (bpf_map_lookup_elem(bpf_map__fd(fx->skel->maps.lb_vips), &key, &vip))
		return -errno;
	vip.timeout[state] = ct_timeout_pack(seconds * fx->hz);
	return put(fx->skel->maps.lb_vips, &key, &vip);
}

int fixture__set_method(struct fixture *fx, enum service_id id, enum lb_method method)
{
	struct lb_service_key key = service_key(id);
	struct lb_vip vip;

	if (bpf_map_lookup_elem(bpf_map__fd(fx->skel->maps.lb_vips), &key, &vip))
		return -errno;
	vip.method = method;
	return put(fx->skel->maps.lb_vips, &key, &vip);
}

static int write_service(struct fixture *fx, enum service_id id)
{
	const struct service *service = &services[id];
	struct lb_service_key key = service_key(id);
	struct lb_vip vip = { .id = id, .method = fixture__method(id), .hash = service->hash };
	int n, err;

	for (n = 0; n < 2 && service->snat[n]; n++) {
		vip.snat[vip.snat_n++] = fixture__local_id(service->snat[n]);
		if (service->method != LB_METHOD_FULLNAT) /* of both families: the backend's counts */
			vip.snat[vip.snat_n++] = local_id_of(service->snat[n], !frame_v6);
	}
	for (n = 0; n < SERVICE_BACKENDS; n++) {
		if (!service->backends[n].ip)
			continue;
		fx->gen[id][n] |= 1;
		err = write_backend(fx, id, n, service->backends[n].ip);
		if (err)
			return err;
	}
	err = put(fx->skel->maps.lb_vips, &key, &vip);
	if (err || fx->clean[id])
		return err;
	err = fixture__set_weights(fx, id, service->backends[0].weight,
				   service->backends[1].weight);
	fx->clean[id] = !err;
	return err;
}

/* Ports of an address that are VIPs'. */
static uint64_t vip_ports(uint32_t ip)
{
	uint64_t ports = 0;
	int i;

	for (i = 0; i < SERVICES; i++) {
		if (services[i].vip != ip)
			continue;
		if (!services[i].port)
			return ~0ULL;
		ports |= local_port_bit(htons(services[i].port), services[i].proto);
	}
	return ports;
}

/* Into the first free place of its search; those before it say that there is more. */
static int write_local(struct fixture *fx, const struct lb_local *local)
{
	struct lb_local there;
	uint32_t probe, slot;
	int err;

	for (probe = 0; probe < LOCAL_PROBES; probe++) {
		slot = local_slot(&local->addr, probe);
		if (bpf_map_lookup_elem(bpf_map__fd(fx->skel->maps.lb_locals), &slot, &there))
			return -errno;
		if (!there.id || there.id == local->id) {
			there.flags &= LB_LOCAL_MORE;
			there.flags |= local->flags;
			there.addr = local->addr;
			there.ports = local->ports;
			there.id = local->id;
			return put(fx->skel->maps.lb_locals, &slot, &there);
		}
		there.flags |= LB_LOCAL_MORE;
		err = put(fx->skel->maps.lb_locals, &slot, &there);
		if (err)
			return err;
	}
	return -ENOSPC;
}

static int write_locals(struct fixture *fx, bool v6)
{
	uint32_t i, id;
	int err;

	for (i = 1; i < LOCALS_N; i++) {
		struct lb_local local = {
			.addr = addr_of(locals[i].ip, v6),
			.ports = vip_ports(locals[i].ip),
			.id = local_id_of(locals[i].ip, v6),
			.flags = locals[i].flags,
		};

		id = local.id;
		err = write_local(fx, &local);
		if (!err)
			err = put(fx->skel->maps.lb_local_addrs, &id, &local.addr);
		if (err)
			return err;
	}
	return 0;
}

/* As attach does: an interface's element is its own on every CPU. */
static int write_ifaces(struct fixture *fx)
{
	struct lb_iface_stats stats[CPUS_MAX];
	uint32_t i, element;
	int cpu, err = 0;

	for (i = 0; i < LAB_IFACES && !err; i++) {
		memset(stats, 0, sizeof(stats));
		for (cpu = 0; cpu < fx->cpus; cpu++)
			stats[cpu].ifindex = lab_ifindex[i];
		element = lab_ifindex[i] % LB_IFACE_SLOTS;
		err = put(fx->skel->maps.lb_iface_stats, &element, stats);
	}
	return err;
}

int fixture__forget_datagrams(struct fixture *fx)
{
	static const struct {
		uint64_t lock;
		struct lb_datagram ways[LB_DATAGRAM_WAYS];
	} none;
	uint32_t i, zero = 0, last = 1000;
	int err = bpf_map_update_elem(bpf_map__fd(fx->skel->maps.lb_datagram_ids), &zero, &last, 0);

	for (i = 0; i < 1u << LB_DATAGRAM_BITS && !err; i++)
		err = bpf_map_update_elem(bpf_map__fd(fx->skel->maps.lb_datagrams), &i, &none, 0);
	return err ? -errno : 0;
}

int fixture__reset(struct fixture *fx)
{
	int err = half__clear(fx), i;

	fx->fib_generation++;
	if (!err)
		err = write_locals(fx, false);
	if (!err)
		err = write_locals(fx, true);
	if (!err)
		err = write_ifaces(fx);
	if (!err)
		err = fixture__set_ports(fx, PORT_LO, PORT_MID, PORT_HI, 65535);
	for (i = 0; i < SERVICES && !err; i++)
		err = write_service(fx, i);
	return err;
}
