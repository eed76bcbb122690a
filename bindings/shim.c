#define _GNU_SOURCE /* CPU sets */
#include "shim.h"

#include <rte_mbuf_pool_ops.h>
#include <errno.h>
#include <stddef.h>
#include <unistd.h>
#include <stdio.h>
#include <string.h>

/*
 * src/mbuf.rs reads and writes these fields directly. A DPDK that lays them out otherwise must
 * fail here, in the build, and not later in somebody's packets.
 */
#define FIELD_AT(field, at) \
	_Static_assert(offsetof(struct rte_mbuf, field) == (at), "rte_mbuf." #field " is not where dpdk-sys reads it")

FIELD_AT(buf_addr, 0);
FIELD_AT(data_off, 16);
FIELD_AT(refcnt, 18);
FIELD_AT(nb_segs, 20);
FIELD_AT(port, 22);
FIELD_AT(ol_flags, 24);
FIELD_AT(packet_type, 32);
FIELD_AT(pkt_len, 36);
FIELD_AT(data_len, 40);
FIELD_AT(vlan_tci, 42);
FIELD_AT(hash, 44);
FIELD_AT(vlan_tci_outer, 52);
FIELD_AT(buf_len, 54);
FIELD_AT(pool, 56);
FIELD_AT(next, 64);
FIELD_AT(tx_offload, 72);
FIELD_AT(shinfo, 80);
FIELD_AT(priv_size, 88);
FIELD_AT(dynfield1, 92);
_Static_assert(sizeof(struct rte_mbuf) == 128, "rte_mbuf is not two cache lines");

const uint64_t SHIM_RSS_IP = RTE_ETH_RSS_IP;
const uint64_t SHIM_RSS_TCP = RTE_ETH_RSS_TCP;
const uint64_t SHIM_RSS_UDP = RTE_ETH_RSS_UDP;
const uint64_t SHIM_TX_OFFLOAD_MULTI_SEGS = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
const uint64_t SHIM_TX_OFFLOAD_MBUF_FAST_FREE = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
const uint64_t SHIM_RX_OFFLOAD_RSS_HASH = RTE_ETH_RX_OFFLOAD_RSS_HASH;
const uint64_t SHIM_RX_OFFLOAD_VLAN_FILTER = RTE_ETH_RX_OFFLOAD_VLAN_FILTER;
const uint64_t SHIM_RX_OFFLOAD_CHECKSUMS = RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
const uint64_t SHIM_TX_OFFLOAD_CHECKSUMS = RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;

int shim_errno(void)
{
	return rte_errno;
}

unsigned int shim_lcore_id(void)
{
	return rte_lcore_id();
}

unsigned int shim_lcore_cpu(unsigned int lcore)
{
	rte_cpuset_t cpus = rte_lcore_cpuset(lcore);
	unsigned int cpu = 0;

	while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, &cpus))
		cpu++;
	return cpu;
}

uint64_t shim_tsc(void)
{
	return rte_rdtsc();
}

uint64_t shim_tsc_hz(void)
{
	return rte_get_tsc_hz();
}

/* Stands where a driver that is to send nothing looks at the first buffer, and its pool, all the same: memif since 23.03. */
static struct {
	struct rte_mempool pool;
	struct rte_pktmbuf_pool_private room;
} no_pool;
static struct rte_mbuf no_mbuf = {.pool = &no_pool.pool};

void shim_tx_nothing(uint16_t port, uint16_t queue)
{
	struct rte_mbuf *none = &no_mbuf;

	rte_eth_tx_burst(port, queue, &none, 0);
}

int shim_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned int count)
{
	return rte_pktmbuf_alloc_bulk(pool, mbufs, count);
}

int shim_alloc_packets(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned int count, uint16_t length)
{
	unsigned int i;

	if (length > rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM)
		return -EINVAL;
	/* Every mbuf in a pool has one owner, one segment and no next one: the second cache line stays untouched. */
	if (rte_mempool_get_bulk(pool, (void **)mbufs, count) != 0)
		return -ENOENT;
	for (i = 0; i < count; i++) {
		struct rte_mbuf *mbuf = mbufs[i];

		mbuf->data_off = RTE_PKTMBUF_HEADROOM;
		mbuf->port = RTE_MBUF_PORT_INVALID;
		mbuf->ol_flags &= RTE_MBUF_F_EXTERNAL;
		mbuf->packet_type = 0;
		mbuf->pkt_len = length;
		mbuf->data_len = length;
		mbuf->vlan_tci = 0;
	}
	return 0;
}

void shim_free(struct rte_mbuf *mbuf)
{
	rte_pktmbuf_free(mbuf);
}

void shim_refcnt_update(struct rte_mbuf *mbuf, int16_t change)
{
	rte_pktmbuf_refcnt_update(mbuf, change);
}

uint16_t shim_refcnt(const struct rte_mbuf *mbuf)
{
	return rte_mbuf_refcnt_read(mbuf);
}

int shim_linearize(struct rte_mbuf *mbuf)
{
	return rte_pktmbuf_linearize(mbuf);
}

int shim_chain(struct rte_mbuf *head, struct rte_mbuf *tail)
{
	return rte_pktmbuf_chain(head, tail);
}

unsigned int shim_pool_size(const struct rte_mempool *pool)
{
	return pool->size;
}

/* Where IO addresses are virtual ones, a buffer is contiguous for a device wherever it is, and need not keep within a
 * page; but a pool that says so notes no IO addresses, which devices on the PCI bus need. */
static void buffer_init(struct rte_mempool *pool, void *unused, void *buffer, unsigned int index)
{
	if (rte_eal_iova_mode() == RTE_IOVA_VA)
		rte_mempool_get_header(buffer)->iova = (uintptr_t)buffer;
	rte_pktmbuf_init(pool, unused, buffer, index);
}

struct rte_mempool *shim_pool_create(const char *name, unsigned int count, unsigned int cache, uint16_t data_room,
	int socket)
{
	struct rte_pktmbuf_pool_private sizes = {.mbuf_data_room_size = data_room};
	unsigned int flags = rte_eal_iova_mode() == RTE_IOVA_VA ? RTE_MEMPOOL_F_NO_IOVA_CONTIG : 0;
	struct rte_mempool *pool = rte_mempool_create_empty(name, count, sizeof(struct rte_mbuf) + data_room, cache,
		sizeof(sizes), socket, flags);
	int result;

	if (pool == NULL)
		return NULL;
	result = rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL);
	if (result == 0) {
		rte_pktmbuf_pool_init(pool, &sizes);
		result = rte_mempool_populate_default(pool);
		if (result >= 0 && !rte_eal_has_hugepages() && pool->nb_mem_chunks != 1)
			result = -ENOMEM;
	}
	if (result < 0) {
		rte_mempool_free(pool);
		rte_errno = -result;
		return NULL;
	}
	if (rte_eal_iova_mode() == RTE_IOVA_VA)
		pool->flags &= ~RTE_MEMPOOL_F_NON_IO;
	rte_mempool_obj_iter(pool, buffer_init, NULL);
	return pool;
}

void *shim_xdp_umem(const struct rte_mempool *pool)
{
	const struct rte_mempool_memhdr *first = STAILQ_FIRST(&pool->mem_list);
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	/* The driver's umem begins at the page of the pool's first chunk, and an offset in it names
	 * the header in front of an mbuf. */
	return (void *)(((uintptr_t)first->addr & ~(page - 1)) + pool->header_size);
}

unsigned int shim_ring_enqueue_burst(struct rte_ring *ring, struct rte_mbuf **mbufs, unsigned int count)
{
	return rte_ring_enqueue_burst(ring, (void *const *)mbufs, count, NULL);
}

unsigned int shim_ring_dequeue_burst(struct rte_ring *ring, struct rte_mbuf **mbufs, unsigned int count)
{
	return rte_ring_dequeue_burst(ring, (void **)mbufs, count, NULL);
}

int shim_link_get(uint16_t port, struct shim_link *link)
{
	struct rte_eth_link now = {0};
	int result = rte_eth_link_get_nowait(port, &now);

	if (result != 0)
		return result;
	link->speed_mbps = now.link_speed;
	link->up = now.link_status == RTE_ETH_LINK_UP;
	link->full_duplex = now.link_duplex == RTE_ETH_LINK_FULL_DUPLEX;
	link->autoneg = now.link_autoneg == RTE_ETH_LINK_AUTONEG;
	return 0;
}

static void vhost_read_queues(uint16_t port, struct shim_guest *guest)
{
	struct rte_eth_vhost_queue_event change;

	while (rte_eth_vhost_get_queue_event(port, &change) == 0) {
		uint64_t bit = UINT64_C(1) << (change.queue_id & 63);

		if (change.rx || change.queue_id > 63)
			continue;
		if (change.enable)
			__atomic_fetch_or(&guest->tx_queues, bit, __ATOMIC_RELAXED);
		else
			__atomic_fetch_and(&guest->tx_queues, ~bit, __ATOMIC_RELAXED);
	}
}

static void vhost_read_features(uint16_t port, struct shim_guest *guest)
{
	uint64_t features = 0;
	int number = rte_eth_vhost_get_vid_from_port_id(port);

	if (number < 0 || rte_vhost_get_negotiated_features(number, &features) != 0)
		features = 0;
	__atomic_store_n(&guest->features, features, __ATOMIC_RELAXED);
}

/* A guest has come, or goes: then all of its queues do, and nobody says so of each. */
static int vhost_link_changed(uint16_t port, enum rte_eth_event_type event, void *guest, void *unused)
{
	struct rte_eth_link link = {0};

	(void)event;
	(void)unused;
	vhost_read_features(port, guest);
	if (rte_eth_link_get_nowait(port, &link) == 0 && link.link_status != RTE_ETH_LINK_UP)
		__atomic_store_n(&((struct shim_guest *)guest)->tx_queues, 0, __ATOMIC_RELAXED);
	return 0;
}

static int vhost_queue_changed(uint16_t port, enum rte_eth_event_type event, void *guest, void *unused)
{
	(void)event;
	(void)unused;
	vhost_read_queues(port, guest);
	return 0;
}

int shim_vhost_watch(uint16_t port, struct shim_guest *guest)
{
	int result = rte_eth_dev_callback_register(port, RTE_ETH_EVENT_INTR_LSC, vhost_link_changed, guest);

	if (result != 0)
		return result;
	return rte_eth_dev_callback_register(port, RTE_ETH_EVENT_QUEUE_STATE, vhost_queue_changed, guest);
}

void shim_vhost_ignore(uint16_t port, struct shim_guest *guest)
{
	while (rte_eth_dev_callback_unregister(port, RTE_ETH_EVENT_INTR_LSC, vhost_link_changed, guest) == -EAGAIN)
		rte_pause();
	while (rte_eth_dev_callback_unregister(port, RTE_ETH_EVENT_QUEUE_STATE, vhost_queue_changed, guest) == -EAGAIN)
		rte_pause();
}

void shim_vhost_read(uint16_t port, struct shim_guest *guest)
{
	vhost_read_features(port, guest);
	vhost_read_queues(port, guest);
}

void shim_device_get(const struct rte_device *device, struct shim_device *about)
{
	const struct rte_devargs *arguments = rte_dev_devargs(device);

	about->name = rte_dev_name(device);
	about->bus = rte_bus_name(rte_dev_bus(device));
	about->bus_info = rte_dev_bus_info(device);
	about->arguments = arguments != NULL ? arguments->args : NULL;
	about->numa_node = rte_dev_numa_node(device);
}

int shim_rx_queue_get(uint16_t port, uint16_t queue, struct shim_queue *about)
{
	struct rte_eth_rxq_info now;
	struct rte_eth_burst_mode mode = {0};
	int result = rte_eth_rx_queue_info_get(port, queue, &now);

	if (result != 0)
		return result;
	memset(about, 0, sizeof(*about));
	if (now.mp != NULL)
		snprintf(about->pool, sizeof(about->pool), "%s", now.mp->name);
	if (rte_eth_rx_burst_mode_get(port, queue, &mode) == 0)
		snprintf(about->burst_mode, sizeof(about->burst_mode), "%.100s%s", mode.info,
			mode.flags & RTE_ETH_BURST_FLAG_PER_QUEUE ? " (per queue)" : "");
	about->offloads = now.conf.offloads;
	about->descriptors = now.nb_desc;
	about->free_threshold = now.conf.rx_free_thresh;
	about->prefetch = now.conf.rx_thresh.pthresh;
	about->host = now.conf.rx_thresh.hthresh;
	about->writeback = now.conf.rx_thresh.wthresh;
	about->deferred_start = now.conf.rx_deferred_start;
	about->drop = now.conf.rx_drop_en;
	about->scattered = now.scattered_rx;
	about->state = now.queue_state;
	return 0;
}

int shim_tx_queue_get(uint16_t port, uint16_t queue, struct shim_queue *about)
{
	struct rte_eth_txq_info now;
	struct rte_eth_burst_mode mode = {0};
	int result = rte_eth_tx_queue_info_get(port, queue, &now);

	if (result != 0)
		return result;
	memset(about, 0, sizeof(*about));
	if (rte_eth_tx_burst_mode_get(port, queue, &mode) == 0)
		snprintf(about->burst_mode, sizeof(about->burst_mode), "%.100s%s", mode.info,
			mode.flags & RTE_ETH_BURST_FLAG_PER_QUEUE ? " (per queue)" : "");
	about->offloads = now.conf.offloads;
	about->descriptors = now.nb_desc;
	about->free_threshold = now.conf.tx_free_thresh;
	about->rs_threshold = now.conf.tx_rs_thresh;
	about->prefetch = now.conf.tx_thresh.pthresh;
	about->host = now.conf.tx_thresh.hthresh;
	about->writeback = now.conf.tx_thresh.wthresh;
	about->deferred_start = now.conf.tx_deferred_start;
	about->state = now.queue_state;
	return 0;
}

int shim_rss_get(uint16_t port, uint8_t *key, uint8_t length, uint64_t *fields)
{
	struct rte_eth_rss_conf conf = {0};
	int result;

	conf.rss_key = key;
	conf.rss_key_len = length;
	result = rte_eth_dev_rss_hash_conf_get(port, &conf);
	*fields = conf.rss_hf;
	return result;
}

int shim_rss_set(uint16_t port, const uint8_t *key, uint8_t length, uint64_t fields)
{
	struct rte_eth_rss_conf conf = {0};
	uint8_t copy[UINT8_MAX];

	if (length > 0) {
		memcpy(copy, key, length);
		conf.rss_key = copy;
		conf.rss_key_len = length;
	}
	conf.rss_hf = fields;
	return rte_eth_dev_rss_hash_update(port, &conf);
}

uint32_t shim_toeplitz(const uint32_t *words, uint32_t count, const uint8_t *key)
{
	/* It only reads them. */
	return rte_softrss((uint32_t *)(uintptr_t)words, count, key);
}

uint32_t shim_crc32c(const uint8_t *bytes, uint32_t length, uint32_t start)
{
	return rte_hash_crc(bytes, length, start);
}

int shim_rx_used(uint16_t port, uint16_t queue)
{
	return rte_eth_rx_queue_count(port, queue);
}

int shim_rx_descriptor(uint16_t port, uint16_t queue, uint16_t descriptor)
{
	return rte_eth_rx_descriptor_status(port, queue, descriptor);
}

int shim_tx_descriptor(uint16_t port, uint16_t queue, uint16_t descriptor)
{
	return rte_eth_tx_descriptor_status(port, queue, descriptor);
}

char *shim_dump(int what, const char *name)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	const struct rte_mempool *pool;
	const struct rte_ring *ring;

	if (out == NULL)
		return NULL;
	switch (what) {
	case SHIM_DUMP_MEMPOOLS:
		pool = name != NULL ? rte_mempool_lookup(name) : NULL;
		if (name == NULL)
			rte_mempool_list_dump(out);
		else if (pool != NULL)
			rte_mempool_dump(out, (struct rte_mempool *)(uintptr_t)pool);
		break;
	case SHIM_DUMP_RINGS:
		ring = name != NULL ? rte_ring_lookup(name) : NULL;
		if (name == NULL)
			rte_ring_list_dump(out);
		else if (ring != NULL)
			rte_ring_dump(out, ring);
		break;
	case SHIM_DUMP_MEMZONES:
		rte_memzone_dump(out);
		break;
	case SHIM_DUMP_PHYSMEM:
		rte_dump_physmem_layout(out);
		break;
	case SHIM_DUMP_HEAP:
		rte_malloc_dump_stats(out, NULL);
		break;
	case SHIM_DUMP_DEVARGS:
		rte_devargs_dump(out);
		break;
	case SHIM_DUMP_LOG_TYPES:
		rte_log_dump(out);
		break;
	case SHIM_DUMP_TAILQS:
		rte_dump_tailq(out);
		break;
	}
	fclose(out);
	return text;
}

int shim_stats_get(uint16_t port, struct shim_stats *stats)
{
	struct rte_eth_stats now = {0};
	int result = rte_eth_stats_get(port, &now);

	if (result != 0)
		return result;
	stats->rx_packets = now.ipackets;
	stats->tx_packets = now.opackets;
	stats->rx_bytes = now.ibytes;
	stats->tx_bytes = now.obytes;
	stats->rx_missed = now.imissed;
	stats->rx_errors = now.ierrors;
	stats->tx_errors = now.oerrors;
	stats->rx_nombuf = now.rx_nombuf;
	return 0;
}

_Static_assert(sizeof(struct rte_flow_item_eth) <= SHIM_FLOW_ITEM_ROOM, "rte_flow_item_eth is larger than its room");
_Static_assert(sizeof(struct rte_flow_item_vlan) <= SHIM_FLOW_ITEM_ROOM, "rte_flow_item_vlan is larger than its room");
_Static_assert(sizeof(struct rte_flow_item_ipv4) <= SHIM_FLOW_ITEM_ROOM, "rte_flow_item_ipv4 is larger than its room");
_Static_assert(sizeof(struct rte_flow_item_ipv6) <= SHIM_FLOW_ITEM_ROOM, "rte_flow_item_ipv6 is larger than its room");
_Static_assert(sizeof(struct rte_flow_item_tcp) <= SHIM_FLOW_ITEM_ROOM, "rte_flow_item_tcp is larger than its room");
_Static_assert(sizeof(struct rte_flow_item_arp_eth_ipv4) <= SHIM_FLOW_ITEM_ROOM,
	"rte_flow_item_arp_eth_ipv4 is larger than its room");
_Static_assert(sizeof(struct rte_flow_item_vxlan) <= SHIM_FLOW_ITEM_ROOM, "rte_flow_item_vxlan is larger than its room");

static enum rte_flow_item_type flow_item_type(uint32_t kind)
{
	switch (kind) {
	case SHIM_FLOW_ETH:
		return RTE_FLOW_ITEM_TYPE_ETH;
	case SHIM_FLOW_VLAN:
		return RTE_FLOW_ITEM_TYPE_VLAN;
	case SHIM_FLOW_IPV4:
		return RTE_FLOW_ITEM_TYPE_IPV4;
	case SHIM_FLOW_IPV6:
		return RTE_FLOW_ITEM_TYPE_IPV6;
	case SHIM_FLOW_TCP:
		return RTE_FLOW_ITEM_TYPE_TCP;
	case SHIM_FLOW_UDP:
		return RTE_FLOW_ITEM_TYPE_UDP;
	case SHIM_FLOW_SCTP:
		return RTE_FLOW_ITEM_TYPE_SCTP;
	case SHIM_FLOW_ICMP:
		return RTE_FLOW_ITEM_TYPE_ICMP;
	case SHIM_FLOW_ARP:
		return RTE_FLOW_ITEM_TYPE_ARP_ETH_IPV4;
	default:
		return RTE_FLOW_ITEM_TYPE_VXLAN;
	}
}

static enum rte_eth_hash_function flow_hash(uint32_t hash)
{
	switch (hash) {
	case SHIM_FLOW_HASH_TOEPLITZ:
		return RTE_ETH_HASH_FUNCTION_TOEPLITZ;
	case SHIM_FLOW_HASH_SIMPLE_XOR:
		return RTE_ETH_HASH_FUNCTION_SIMPLE_XOR;
	case SHIM_FLOW_HASH_SYMMETRIC_TOEPLITZ:
		return RTE_ETH_HASH_FUNCTION_SYMMETRIC_TOEPLITZ;
	default:
		return RTE_ETH_HASH_FUNCTION_DEFAULT;
	}
}

static int flow_outcome(int result, const struct rte_flow_error *from, struct shim_flow_error *error)
{
	error->type = from->type;
	snprintf(error->message, sizeof(error->message), "%s", from->message != NULL ? from->message : "");
	return result;
}

int shim_flow_make(uint16_t port, const struct shim_flow_rule *rule, struct rte_flow **flow,
	struct shim_flow_error *error)
{
	const struct rte_flow_attr attributes = {
		.group = rule->group,
		.priority = rule->priority,
		.ingress = rule->ingress,
		.egress = rule->egress,
		.transfer = rule->transfer,
	};
	struct rte_flow_item items[SHIM_FLOW_MOST + 1] = {0};
	struct rte_flow_action actions[SHIM_FLOW_MOST + 1] = {0};
	union {
		struct rte_flow_action_queue queue;
		struct rte_flow_action_jump jump;
		struct rte_flow_action_mark mark;
		struct rte_flow_action_count count;
		struct rte_flow_action_rss rss;
		struct rte_flow_action_set_mac mac;
		struct rte_flow_action_set_ipv4 ipv4;
	} settings[SHIM_FLOW_MOST];
	struct rte_flow_error from = {0};
	uint32_t at;

	memset(settings, 0, sizeof(settings));
	for (at = 0; at < rule->item_count; at++) {
		const struct shim_flow_item *item = &rule->items[at];

		items[at].type = flow_item_type(item->kind);
		if (!item->any) {
			items[at].spec = item->spec;
			items[at].mask = item->mask;
			if (item->ranges)
				items[at].last = item->last;
		}
	}
	items[at].type = RTE_FLOW_ITEM_TYPE_END;
	for (at = 0; at < rule->action_count; at++) {
		const struct shim_flow_action *action = &rule->actions[at];

		actions[at].conf = &settings[at];
		switch (action->kind) {
		case SHIM_FLOW_DROP:
			actions[at].type = RTE_FLOW_ACTION_TYPE_DROP;
			actions[at].conf = NULL;
			break;
		case SHIM_FLOW_PASSTHRU:
			actions[at].type = RTE_FLOW_ACTION_TYPE_PASSTHRU;
			actions[at].conf = NULL;
			break;
		case SHIM_FLOW_FLAG:
			actions[at].type = RTE_FLOW_ACTION_TYPE_FLAG;
			actions[at].conf = NULL;
			break;
		case SHIM_FLOW_QUEUE:
			actions[at].type = RTE_FLOW_ACTION_TYPE_QUEUE;
			settings[at].queue.index = action->value;
			break;
		case SHIM_FLOW_JUMP:
			actions[at].type = RTE_FLOW_ACTION_TYPE_JUMP;
			settings[at].jump.group = action->value;
			break;
		case SHIM_FLOW_MARK:
			actions[at].type = RTE_FLOW_ACTION_TYPE_MARK;
			settings[at].mark.id = action->value;
			break;
		case SHIM_FLOW_COUNT:
			actions[at].type = RTE_FLOW_ACTION_TYPE_COUNT;
			break;
		case SHIM_FLOW_SET_MAC_SRC:
		case SHIM_FLOW_SET_MAC_DST:
			actions[at].type = action->kind == SHIM_FLOW_SET_MAC_SRC ?
				RTE_FLOW_ACTION_TYPE_SET_MAC_SRC : RTE_FLOW_ACTION_TYPE_SET_MAC_DST;
			memcpy(&settings[at].mac, action->address, sizeof(settings[at].mac));
			break;
		case SHIM_FLOW_SET_IPV4_SRC:
		case SHIM_FLOW_SET_IPV4_DST:
			actions[at].type = action->kind == SHIM_FLOW_SET_IPV4_SRC ?
				RTE_FLOW_ACTION_TYPE_SET_IPV4_SRC : RTE_FLOW_ACTION_TYPE_SET_IPV4_DST;
			memcpy(&settings[at].ipv4, action->address, sizeof(settings[at].ipv4));
			break;
		default:
			actions[at].type = RTE_FLOW_ACTION_TYPE_RSS;
			settings[at].rss.func = flow_hash(action->value);
			settings[at].rss.types = action->fields;
			settings[at].rss.queue_num = action->queue_count;
			settings[at].rss.queue = action->queues;
		}
	}
	actions[at].type = RTE_FLOW_ACTION_TYPE_END;
	if (flow == NULL)
		return flow_outcome(rte_flow_validate(port, &attributes, items, actions, &from), &from, error);
	*flow = rte_flow_create(port, &attributes, items, actions, &from);
	return flow_outcome(*flow != NULL ? 0 : rte_errno != 0 ? -rte_errno : -EINVAL, &from, error);
}

int shim_flow_destroy(uint16_t port, struct rte_flow *flow, struct shim_flow_error *error)
{
	struct rte_flow_error from = {0};

	return flow_outcome(rte_flow_destroy(port, flow, &from), &from, error);
}

int shim_flow_query(uint16_t port, struct rte_flow *flow, struct shim_flow_count *count, struct shim_flow_error *error)
{
	const struct rte_flow_action actions[] = {
		{ .type = RTE_FLOW_ACTION_TYPE_COUNT },
		{ .type = RTE_FLOW_ACTION_TYPE_END },
	};
	struct rte_flow_query_count query = {0};
	struct rte_flow_error from = {0};
	int result = rte_flow_query(port, flow, actions, &query, &from);

	count->hits = query.hits;
	count->bytes = query.bytes;
	count->hits_set = query.hits_set;
	count->bytes_set = query.bytes_set;
	return flow_outcome(result, &from, error);
}

int shim_flow_flush(uint16_t port, struct shim_flow_error *error)
{
	struct rte_flow_error from = {0};

	return flow_outcome(rte_flow_flush(port, &from), &from, error);
}

int shim_flow_isolate(uint16_t port, int on, struct shim_flow_error *error)
{
	struct rte_flow_error from = {0};

	return flow_outcome(rte_flow_isolate(port, on, &from), &from, error);
}

/* Written by EAL's interrupt thread, taken by anybody. Never unregistered: DPDK keeps one of what is registered twice,
 * also for the next device that has the number. */
static unsigned int events_seen[RTE_MAX_ETHPORTS];

static int remember_event(uint16_t port, enum rte_eth_event_type type, void *unused, void *also_unused)
{
	RTE_SET_USED(unused);
	RTE_SET_USED(also_unused);
	unsigned int bit = type == RTE_ETH_EVENT_INTR_RESET ? SHIM_EVENT_RESET : SHIM_EVENT_REMOVED;
	if (port < RTE_MAX_ETHPORTS)
		__atomic_fetch_or(&events_seen[port], bit, __ATOMIC_RELAXED);
	return 0;
}

int shim_events_watch(uint16_t port)
{
	if (port < RTE_MAX_ETHPORTS)
		__atomic_store_n(&events_seen[port], 0, __ATOMIC_RELAXED);
	int result = rte_eth_dev_callback_register(port, RTE_ETH_EVENT_INTR_RESET, remember_event, NULL);
	if (result == 0)
		result = rte_eth_dev_callback_register(port, RTE_ETH_EVENT_INTR_RMV, remember_event, NULL);
	return result;
}

unsigned int shim_events_take(uint16_t port)
{
	return port < RTE_MAX_ETHPORTS ? __atomic_exchange_n(&events_seen[port], 0, __ATOMIC_RELAXED) : 0;
}
