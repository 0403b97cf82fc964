// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The daemon's loop. */
#include "daemon.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "host.h"
#include "maps_events.h"
#include "netlink.h"
#include "park.h"

#define FOLLOW_MS    1000 /* looks whether the balancer is still the same one */
#define PARK_MS	     20	  /* looks who has waited too long */
#define PARKED_BYTES 2048 /* of a packet, on average: that limits the memory */
#define LOST_NOTE_MS 60000
#define HOPS_PACKETS 4096 /* that wait for MACs */
#define HOP_PACKETS  64	  /* for one; more came from who doesn't wait for answers */

struct daemon {
	const char *dir;
	const struct daemon_options *options;
	void (*say)(const char *text);
	void (*note)(const char *text);
	uv_loop_t loop;
	uv_poll_t *poll; /* of the events */
	uv_timer_t follow_timer;
	uv_timer_t park_timer;
	uv_signal_t interrupted, terminated;
	struct maps_events *events; /* NULL: there is no balancer yet */
	bool broken;		    /* the events can't be read any more */
	struct park *park; /* fragments, until their datagram's first comes */
	struct park *hops; /* packets, until their next hop's MAC is known */
	struct nl *nl;
	struct nl *changes; /* of neighbours */
	uv_poll_t changes_poll;
	uint64_t lost_noted_ms;
	int why_not; /* what was said last of no balancer */
	int err;     /* of the run */
};

static void tell(void (*to)(const char *), const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	to(text);
}

/* -- Fragments --------------------------------------------------------------------------------- */

static void send_in(struct daemon *daemon, const struct parked *packets)
{
	for (; packets; packets = packets->next)
		maps__send_in(daemon->events, &packets->event, packets->frame);
}

/* What they wait for has come. */
static void release(struct daemon *daemon, struct park *from, const struct lb_datagram_key *key)
{
	size_t n;
	struct parked *packets = park__take(from, key, &n);

	send_in(daemon, packets);
	park__drop(packets);
}

/* It has not in time; or it has, this very moment. */
static void give_up(struct daemon *daemon, struct lb_datagram_key key)
{
	size_t n;
	struct parked *packets = park__take(daemon->park, &key, &n);

	if (maps__unpark(daemon->events, &key, true, n) != LB_DATAGRAM_DONE)
		send_in(daemon, packets);
	park__drop(packets);
}

static void hop_give_up(struct daemon *daemon, struct lb_datagram_key key)
{
	size_t n;
	struct parked *packets = park__take(daemon->hops, &key, &n);

	if (packets)
		maps__unpark_neighbour(daemon->events, n);
	park__drop(packets);
}

/* Those of one kind that have waited for so long. */
static bool give_up_older(struct daemon *daemon, struct park *park, uint64_t ms,
			  void (*give_up)(struct daemon *, struct lb_datagram_key))
{
	const struct lb_datagram_key *key;
	uint64_t since;

	while ((key = park__oldest(park, &since)) && uv_now(&daemon->loop) - since >= ms)
		give_up(daemon, *key);
	return key;
}

/* false: nobody waits any more. */
static bool give_up_all_older(struct daemon *daemon, uint64_t ms)
{
	bool datagrams = give_up_older(daemon, daemon->park, ms, give_up);
	bool hops = give_up_older(daemon, daemon->hops, ms, hop_give_up);

	return datagrams || hops;
}

static void on_park_timer(uv_timer_t *timer)
{
	struct daemon *daemon = timer->data;

	if (!give_up_all_older(daemon, daemon->options->park_time_ms))
		uv_timer_stop(timer);
}

static void park_timer_run(struct daemon *daemon)
{
	if (!uv_is_active((uv_handle_t *)&daemon->park_timer))
		uv_timer_start(&daemon->park_timer, on_park_timer, PARK_MS, PARK_MS);
}

/* Memory is short: those who wait longest have the least hope. */
static void make_room(struct daemon *daemon, const struct lb_event *event, const void *frame)
{
	const struct lb_datagram_key *key;
	uint64_t since;
	int err = -ENOSPC;

	while (err == -ENOSPC && (key = park__oldest(daemon->park, &since))) {
		give_up(daemon, *key);
		err = park__put(daemon->park, event, frame, uv_now(&daemon->loop));
	}
}

/*
 * Events of CPUs aren't in order among each other. So the first may have come already: that is
 * asked where no other packet of the datagram waits.
 */
static void park(struct daemon *daemon, const struct lb_event *event, const void *frame)
{
	if (!park__has(daemon->park, &event->key) &&
	    maps__unpark(daemon->events, &event->key, false, 0) == LB_DATAGRAM_OPEN) {
		maps__send_in(daemon->events, event, frame);
		return;
	}
	if (park__put(daemon->park, event, frame, uv_now(&daemon->loop)) == -ENOSPC)
		make_room(daemon, event, frame);
	park_timer_run(daemon);
}

/* -- Neighbours -------------------------------------------------------------------------------- */

static struct lb_datagram_key hop_key(uint32_t ifindex, const struct lb_addr *addr)
{
	return (struct lb_datagram_key){ .src = *addr, .id = ifindex };
}

static void on_neighbour(const struct nl_neigh *neigh, void *arg)
{
	struct daemon *daemon = arg;
	struct lb_datagram_key key = hop_key(neigh->ifindex, &neigh->addr);

	if (!daemon->events)
		return;
	if (nl__neigh_valid(neigh))
		release(daemon, daemon->hops, &key);
	else if (neigh->state & NUD_FAILED)
		hop_give_up(daemon, key);
}

/* What was missed shows when its time is over. */
static void on_changes(uv_poll_t *poll, int status, int ready)
{
	struct daemon *daemon = poll->data;

	(void)status, (void)ready;
	nl__neigh_changes(daemon->changes, on_neighbour, daemon);
}

/* The kernel is asked by the first that waits; it may have learnt the MAC since the packet came. */
static void hop_wait(struct daemon *daemon, const struct lb_event *event, const void *frame)
{
	bool first = !park__has(daemon->hops, &event->key);
	struct nl_neigh neigh;

	if (park__put(daemon->hops, event, frame, uv_now(&daemon->loop))) {
		maps__unpark_neighbour(daemon->events, 1);
		return;
	}
	park_timer_run(daemon);
	if (!first)
		return;
	nl__neigh_use(daemon->nl, event->key.id, &event->key.src);
	if (!nl__neigh_get(daemon->nl, event->key.id, &event->key.src, &neigh) &&
	    nl__neigh_valid(&neigh))
		release(daemon, daemon->hops, &event->key);
}

static int hops_open(struct daemon *daemon)
{
	int err = nl__open(&daemon->nl);

	if (!err)
		err = nl__neigh_watch(&daemon->changes);
	if (!err)
		err = uv_poll_init(&daemon->loop, &daemon->changes_poll, nl__fd(daemon->changes));
	if (err)
		return err;
	daemon->changes_poll.data = daemon;
	return uv_poll_start(&daemon->changes_poll, UV_READABLE, on_changes);
}

static void on_event(const struct lb_event *event, const void *frame, void *arg)
{
	struct daemon *daemon = arg;

	switch (event->kind) {
	case LB_EVENT_PARKED:
		park(daemon, event, frame);
		break;
	case LB_EVENT_FIRST:
		release(daemon, daemon->park, &event->key);
		break;
	case LB_EVENT_NEIGHBOUR:
		hop_wait(daemon, event, frame);
		break;
	}
}

static void on_lost(uint64_t n, void *arg)
{
	struct daemon *daemon = arg;
	uint64_t now = uv_now(&daemon->loop);

	if (daemon->lost_noted_ms && now - daemon->lost_noted_ms < LOST_NOTE_MS)
		return;
	daemon->lost_noted_ms = now;
	tell(daemon->note,
	     "%llu events came faster than they could be read; packets among them are lost",
	     (unsigned long long)n);
}

/* -- The balancer ------------------------------------------------------------------------------ */

static void on_readable(uv_poll_t *poll, int status, int ready)
{
	struct daemon *daemon = poll->data;

	(void)ready;
	daemon->broken = status < 0 || maps__events_consume(daemon->events) < 0;
	if (daemon->broken)
		uv_poll_stop(poll);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

static void leave(struct daemon *daemon)
{
	give_up_all_older(daemon, 0);
	uv_timer_stop(&daemon->park_timer);
	uv_close((uv_handle_t *)daemon->poll, on_closed);
	maps__events_close(daemon->events);
	daemon->events = NULL;
	daemon->broken = false;
}

/* A handle of its own each time: the loop lets go of the last one later. */
static int watch(struct daemon *daemon)
{
	int err;

	daemon->poll = malloc(sizeof(*daemon->poll));
	if (!daemon->poll)
		return -ENOMEM;
	err = uv_poll_init(&daemon->loop, daemon->poll, maps__events_fd(daemon->events));
	if (err) {
		free(daemon->poll);
		return err;
	}
	daemon->poll->data = daemon;
	return uv_poll_start(daemon->poll, UV_READABLE, on_readable);
}

/* -ENOENT, as long as there is no balancer, or it isn't attached: that may come. */
static int join(struct daemon *daemon)
{
	int err = maps__events_open(daemon->dir, on_event, on_lost, daemon, &daemon->events);

	if (err)
		return err;
	err = watch(daemon);
	if (err) {
		maps__events_close(daemon->events);
		daemon->events = NULL;
	}
	return err;
}

static void follow(struct daemon *daemon)
{
	int err;

	if (daemon->events && (daemon->broken || !maps__events_current(daemon->events))) {
		tell(daemon->say, "the balancer at %s is gone", daemon->dir);
		leave(daemon);
	}
	if (daemon->events)
		return;
	err = join(daemon);
	if (!err)
		tell(daemon->say, "keeps packets of the balancer at %s that have to wait", daemon->dir);
	else if (err == -ENOENT && daemon->why_not != err)
		tell(daemon->say, "waits for a balancer at %s: lbctl attach IFACE", daemon->dir);
	daemon->why_not = err;
	if (!err || err == -ENOENT)
		return;
	daemon->err = err;
	uv_stop(&daemon->loop);
}

static void on_follow_timer(uv_timer_t *timer)
{
	follow(timer->data);
}

static void on_signal(uv_signal_t *signal, int number)
{
	(void)number;
	uv_stop(signal->loop);
}

/* -- Start and end ----------------------------------------------------------------------------- */

static void handles_init(struct daemon *daemon)
{
	uv_timer_init(&daemon->loop, &daemon->follow_timer);
	uv_timer_init(&daemon->loop, &daemon->park_timer);
	uv_signal_init(&daemon->loop, &daemon->interrupted);
	uv_signal_init(&daemon->loop, &daemon->terminated);
	daemon->follow_timer.data = daemon;
	daemon->park_timer.data = daemon;
	uv_signal_start(&daemon->interrupted, on_signal, SIGINT);
	uv_signal_start(&daemon->terminated, on_signal, SIGTERM);
	uv_timer_start(&daemon->follow_timer, on_follow_timer, 0, FOLLOW_MS);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static int loop_run(struct daemon *daemon, struct text_error *error)
{
	int err = uv_loop_init(&daemon->loop);

	if (err)
		return text_error__set(error, "%s", uv_strerror(err)), err;
	handles_init(daemon);
	daemon->err = hops_open(daemon);
	if (!daemon->err)
		uv_run(&daemon->loop, UV_RUN_DEFAULT);
	if (daemon->events)
		leave(daemon);
	uv_walk(&daemon->loop, close_handle, NULL);
	uv_run(&daemon->loop, UV_RUN_DEFAULT);
	uv_loop_close(&daemon->loop);
	nl__close(daemon->changes);
	nl__close(daemon->nl);
	if (daemon->err == -ENOTSUP)
		text_error__set(error,
				"this kernel can't take packets back in: Linux 5.18 or newer can");
	else if (daemon->err)
		text_error__set(error, "the balancer's events can't be read: %s",
				strerror(-daemon->err));
	return daemon->err;
}

/* One of them per balancer: the data path has one buffer for each CPU. */
static int lock(const char *dir, int *ret_fd, struct text_error *error)
{
	char name[300];
	int err;

	snprintf(name, sizeof(name), "%s/daemon", dir);
	err = host__lock(name, NULL, NULL, ret_fd);
	if (err == -EBUSY)
		text_error__set(error, "another lbctl daemon runs for this balancer");
	else if (err)
		text_error__set(error, "can't lock: %s", strerror(-err));
	return err;
}

int daemon__run(const char *dir, const struct daemon_options *options,
		void (*say)(const char *text), void (*note)(const char *text),
		struct text_error *error)
{
	struct daemon daemon = { .dir = dir, .options = options, .say = say, .note = note };
	int fd, err = host__ready();

	if (err)
		return text_error__set(error, "%s",
				       host__ready_why(err) ? host__ready_why(err)
							    : strerror(-err)),
		       err;
	err = lock(dir, &fd, error);
	if (err)
		return err;
	daemon.park = park__new(options->park_packets,
				(size_t)options->park_packets * PARKED_BYTES, SIZE_MAX);
	daemon.hops = park__new(HOPS_PACKETS, (size_t)HOPS_PACKETS * PARKED_BYTES, HOP_PACKETS);
	err = daemon.park && daemon.hops ? loop_run(&daemon, error) : -ENOMEM;
	park__free(daemon.park);
	park__free(daemon.hops);
	close(fd);
	return err;
}
