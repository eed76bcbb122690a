/*
 * The gateway's job, written by hand in C on DPDK: the peer that tells what the framework costs.
 *
 * It makes the same checks and counts the same things as iogate's data path, for unicast traffic:
 * VLAN, source address by (link, tag, MAC), ARP, IPv4, IPv6 and neighbour discovery senders,
 * classes and storage protocols, MTU, sides, protocols of a vHBA, destination by (network, MAC), tag
 * and priority on the way out; per adapter, class and direction, and per port and reason. Left out,
 * because the mix that it is measured with has none: replication of multicast, IPv6 extension
 * headers, change of uplinks, and handing packets over between workers. Such packets are dropped.
 *
 * One thread, run to completion, in four passes over each burst, so that the memory that a pass
 * needs was asked for by the pass before. Its buffers lie one behind the other, as the framework's do.
 *
 * Usage: gateway EAL-ARGUMENTS -- TABLES SECONDS RX TX [RX TX]...
 *   TABLES   what to do, written by iogate-bench (src/peers/tables.rs)
 *   SECONDS  how long to measure; 0: until nothing comes any more, and print all counters
 *   RX TX    for each link, then each uplink: the device to receive from, `-` for none, and to send to
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_common.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_prefetch.h>

#include "frame.h"
#include "tables.h"

#define BURST 32
#define BUFFERS 16384
#define NOBODY UINT32_MAX

/* What is known of a packet, beside it. */
struct meta {
	struct frame frame;
	uint32_t adapter;
	uint16_t network;
	uint8_t class;
	bool unclaimed;
	uint8_t protocol;
};

struct way {
	uint16_t rx, tx;
	bool polled, uplink;
	uint64_t received, sent;
	struct counter drops[REASONS];
	uint16_t waiting;
	struct rte_mbuf *out[BURST];
};

static struct way ways[MAX_PORTS];
static unsigned int links, ports;

static __rte_noinline __rte_cold void
drop(struct way *way, struct rte_mbuf *packet, uint32_t adapter, enum reason why)
{
	count(&way->drops[why], packet->pkt_len);
	if (adapter != NOBODY)
		count(&adapter_dropped[adapter], packet->pkt_len);
	rte_pktmbuf_free(packet);
}

static void
flush(struct way *way)
{
	uint16_t sent = rte_eth_tx_burst(way->tx, 0, way->out, way->waiting);

	way->sent += sent;
	for (; unlikely(sent < way->waiting); sent++)
		drop(way, way->out[sent], NOBODY, TX_FULL);
	way->waiting = 0;
}

static inline void
push(struct way *way, struct rte_mbuf *packet)
{
	way->out[way->waiting++] = packet;
	if (way->waiting == BURST)
		flush(way);
}

/* What a network carries decides what may be on it. */
static inline enum reason
wrong_side(const struct meta *meta, const struct network *network, uint32_t length)
{
	bool orphan, allowed;

	if (length > network->mtu || length > (uint32_t)network->payload + meta->frame.offset)
		return TOO_BIG;
	orphan = meta->unclaimed && meta->protocol != NO_PROTOCOL && !(allowed_classes[STORAGE] >> meta->class & 1);
	allowed = orphan ? network->side == STORAGE : allowed_classes[network->side] >> meta->class & 1;
	if (likely(allowed) || meta->frame.later_fragment)
		return NONE;
	return network->side == STORAGE ? NETWORK_ON_STORAGE : STORAGE_ON_NETWORK;
}

static inline bool
forbidden(const struct meta *meta, const struct adapter *adapter)
{
	return adapter->forbidden >> meta->protocol & 1;
}

static inline enum reason
admit_from_link(struct meta *meta, const struct rte_mbuf *packet, unsigned int link)
{
	const struct adapter *owner;
	enum reason why;

	meta->adapter = find(link, meta->frame.vlan, meta->frame.src);
	if (unlikely(meta->adapter == NOBODY))
		return link_has_vlan(link, meta->frame.vlan) ? UNKNOWN_SOURCE : UNKNOWN_VLAN;
	owner = &adapters[meta->adapter];
	meta->network = owner->network;
	why = spoofed(&meta->frame, rte_pktmbuf_mtod(packet, const uint8_t *), packet->data_len, owner);
	if (likely(why == NONE))
		why = wrong_side(meta, &networks[owner->network], packet->pkt_len);
	if (likely(why == NONE) && unlikely(forbidden(meta, owner)))
		why = WRONG_PROTOCOL;
	return why;
}

static inline enum reason
admit_from_uplink(struct meta *meta, const struct rte_mbuf *packet, unsigned int uplink)
{
	meta->adapter = NOBODY;
	meta->network = uplink_networks[uplink][meta->frame.vlan];
	if (unlikely(meta->network == NO_NETWORK))
		return UNKNOWN_VLAN;
	if (unlikely(find(NETWORK_SCOPE | meta->network, 0, meta->frame.src) != NOBODY))
		return DEJA_VU;
	return wrong_side(meta, &networks[meta->network], packet->pkt_len);
}

/* To the adapter that has the destination, or up; sets the tag that the packet has there. */
static inline void
forward(struct way *from, struct rte_mbuf *packet, const struct meta *meta)
{
	uint32_t to = find(NETWORK_SCOPE | meta->network, 0, meta->frame.dst), length = packet->pkt_len;
	struct way *way;
	uint16_t vlan;

	if (to != NOBODY) {
		const struct adapter *adapter = &adapters[to];

		if (unlikely(to == meta->adapter || forbidden(meta, adapter))) {
			drop(from, packet, meta->adapter, to == meta->adapter ? TO_ITSELF : WRONG_PROTOCOL);
			return;
		}
		way = &ways[adapter->outlet];
		vlan = adapter->tag;
	} else {
		if (unlikely(meta->adapter == NOBODY)) {
			drop(from, packet, NOBODY, UNKNOWN_UNICAST);
			return;
		}
		way = &ways[links + networks[meta->network].uplink];
		vlan = networks[meta->network].vlan;
	}
	if (unlikely(!set_tag(packet, meta->frame.tagged, vlan, pcps[meta->class]))) {
		drop(from, packet, meta->adapter, NO_ROOM);
		return;
	}
	if (meta->adapter != NOBODY)
		count(&traffic[meta->adapter][meta->class][FROM_SERVER], length);
	if (to != NOBODY)
		count(&traffic[to][meta->class][TO_SERVER], packet->pkt_len);
	push(way, packet);
}

static unsigned int
poll_way(struct way *way, unsigned int number)
{
	struct rte_mbuf *packets[BURST];
	struct meta metas[BURST];
	uint16_t received = rte_eth_rx_burst(way->rx, 0, packets, BURST), left, at;
	enum reason why;

	way->received += received;
	for (at = 0; at < received; at++)
		rte_prefetch0(rte_pktmbuf_mtod(packets[at], void *));
	for (left = at = 0; at < received; at++) {
		struct rte_mbuf *packet = packets[at];
		struct meta *meta = &metas[left];
		uint32_t verdict = 0;

		why = read_frame(&meta->frame, rte_pktmbuf_mtod(packet, const uint8_t *), packet->data_len,
			packet->pkt_len, &verdict);
		if (unlikely(why != NONE)) {
			drop(way, packet, NOBODY, why);
			continue;
		}
		meta->protocol = __builtin_ctz(verdict >> 8 | 1U << NO_PROTOCOL);
		meta->unclaimed = (verdict & 0xff) == 0;
		meta->class = meta->unclaimed ? default_class : __builtin_ctz(verdict);
		packets[left++] = packet;
		if (!way->uplink)
			prefetch(number, meta->frame.vlan, meta->frame.src);
	}
	received = left;
	for (left = at = 0; at < received; at++) {
		struct rte_mbuf *packet = packets[at];
		struct meta *meta = &metas[left];

		if (left != at)
			*meta = metas[at];
		why = way->uplink ? admit_from_uplink(meta, packet, number - links) : admit_from_link(meta, packet, number);
		if (unlikely(why != NONE)) {
			drop(way, packet, meta->adapter, why);
			continue;
		}
		packets[left++] = packet;
		prefetch(NETWORK_SCOPE | meta->network, 0, meta->frame.dst);
	}
	for (at = 0; at < left; at++)
		forward(way, packets[at], &metas[at]);
	return received;
}

static unsigned int
poll_all(void)
{
	unsigned int at, received = 0;

	for (at = 0; at < ports; at++)
		if (ways[at].polled)
			received += poll_way(&ways[at], at);
	for (at = 0; at < ports; at++)
		if (ways[at].waiting != 0)
			flush(&ways[at]);
	return received;
}

static void __rte_noreturn
fail(const char *what, const char *which)
{
	fprintf(stderr, "gateway.c: %s%s\n", what, which);
	exit(1);
}

/* On plain pages DPDK's own pools give each buffer a page, where their headers share few lines of the cache. */
static struct rte_mempool *
make_pool(void)
{
	const uint16_t room = RTE_MBUF_DEFAULT_BUF_SIZE;
	struct rte_pktmbuf_pool_private sizes = {.mbuf_data_room_size = room};
	unsigned int flags = rte_eal_iova_mode() == RTE_IOVA_VA ? RTE_MEMPOOL_F_NO_IOVA_CONTIG : 0;
	struct rte_mempool *pool = rte_mempool_create_empty("packets", BUFFERS, sizeof(struct rte_mbuf) + room, 256,
		sizeof(sizes), SOCKET_ID_ANY, flags);

	if (pool == NULL || rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL) != 0)
		fail("no pool: ", rte_strerror(rte_errno));
	rte_pktmbuf_pool_init(pool, &sizes);
	if (rte_mempool_populate_default(pool) < 0)
		fail("no memory for the pool", "");
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

static uint16_t
open_port(const char *name, struct rte_mempool *pool)
{
	struct rte_eth_conf conf = {0};
	uint16_t port;

	if (rte_eth_dev_get_port_by_name(name, &port) != 0)
		fail("no such device: ", name);
	if (rte_eth_dev_configure(port, 1, 1, &conf) != 0 || rte_eth_rx_queue_setup(port, 0, 512, SOCKET_ID_ANY, NULL, pool) != 0 ||
	    rte_eth_tx_queue_setup(port, 0, 512, SOCKET_ID_ANY, NULL) != 0 || rte_eth_dev_start(port) != 0)
		fail("cannot start ", name);
	return port;
}

static double
cpu_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static uint64_t
all_received(void)
{
	uint64_t sum = 0;

	for (unsigned int at = 0; at < ports; at++)
		sum += ways[at].received;
	return sum;
}

static void
run_for(double seconds)
{
	uint64_t end = rte_get_tsc_cycles() + seconds * rte_get_tsc_hz();

	do
		for (unsigned int round = 0; round < 256; round++)
			poll_all();
	while (rte_get_tsc_cycles() < end);
}

/* One line of JSON: what the measurement gave, and the counters that are not zero. */
static void
print_result(uint64_t packets, double cpu, bool all)
{
	uint64_t sent = 0;
	const char *comma = "";

	for (unsigned int at = 0; at < ports; at++)
		sent += ways[at].sent;
	printf("{\"packets\":%" PRIu64 ",\"cpu_s\":%.9f,\"tsc_hz\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"drops\":{", packets, cpu,
		rte_get_tsc_hz(), sent);
	for (int why = 1; why < REASONS; why++) {
		uint64_t dropped = 0;

		for (unsigned int at = 0; at < ports; at++)
			dropped += ways[at].drops[why].packets;
		if (dropped != 0) {
			printf("%s\"%s\":%" PRIu64, comma, reason_names[why], dropped);
			comma = ",";
		}
	}
	printf("},\"traffic\":[");
	comma = "";
	for (uint32_t number = 0; all && number < adapter_count; number++)
		for (int class = 0; class < CLASSES; class++)
			for (int way = 0; way < 2; way++) {
				const struct counter *counter = &traffic[number][class][way];

				if (counter->packets == 0)
					continue;
				printf("%s[%u,%d,%d,%" PRIu64 ",%" PRIu64 "]", comma, number, class, way, counter->packets, counter->bytes);
				comma = ",";
			}
	printf("]}\n");
}

int
main(int argc, char **argv)
{
	struct rte_mempool *pool;
	int parsed = rte_eal_init(argc, argv);
	double seconds, before;
	uint64_t already;

	if (parsed < 0)
		fail("EAL does not start: ", rte_strerror(rte_errno));
	argc -= parsed + 1;
	argv += parsed + 1;
	if (argc < 4 || argc % 2 != 0)
		fail("usage: gateway EAL-ARGUMENTS -- TABLES SECONDS RX TX [RX TX]...", "");
	if (!read_tables(argv[0], &links, &ports))
		fail("cannot use the tables in ", argv[0]);
	if ((unsigned int)argc != 2 + 2 * ports)
		fail("the tables are of another number of ports: ", argv[0]);
	seconds = atof(argv[1]);
	pool = make_pool();
	for (unsigned int at = 0; at < ports; at++) {
		const char *rx = argv[2 + 2 * at], *tx = argv[3 + 2 * at];

		ways[at].uplink = at >= links;
		ways[at].polled = strcmp(rx, "-") != 0;
		ways[at].tx = open_port(tx, pool);
		if (ways[at].polled)
			ways[at].rx = strcmp(rx, tx) == 0 ? ways[at].tx : open_port(rx, pool);
	}
	if (seconds > 0) {
		run_for(0.2);
		before = cpu_time();
		already = all_received();
		run_for(seconds);
		print_result(all_received() - already, cpu_time() - before, false);
	} else {
		before = cpu_time();
		while (poll_all() != 0)
			;
		print_result(all_received(), cpu_time() - before, true);
	}
	for (unsigned int at = 0; at < ports; at++)
		rte_eth_dev_stop(ways[at].tx);
	for (unsigned int at = 0; at < ports; at++)
		rte_eth_dev_close(ways[at].tx);
	rte_eal_cleanup();
	return 0;
}
