/*
 * What dpdk-sys adds to DPDK's exported functions: the `static inline` ones that a framework
 * needs, crossed once per burst, and the few structures whose layout moves between releases,
 * copied into ones that do not.
 */
#ifndef IOGATE_SHIM_H
#define IOGATE_SHIM_H

#include <rte_config.h>
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_devargs.h>
#include <rte_eal.h>
#include <rte_epoll.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_eth_vhost.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_gro.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_interrupts.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_memory.h>
#include <rte_mempool.h>
#include <rte_memzone.h>
#include <rte_ring.h>
#include <rte_tailq.h>
#include <rte_thash.h>
#include <rte_version.h>

/* bindgen drops 64-bit flag macros, so they pass through objects. */
extern const uint64_t SHIM_RSS_IP;
extern const uint64_t SHIM_RSS_TCP;
extern const uint64_t SHIM_RSS_UDP;
extern const uint64_t SHIM_TX_OFFLOAD_MULTI_SEGS;
extern const uint64_t SHIM_TX_OFFLOAD_MBUF_FAST_FREE;
extern const uint64_t SHIM_RX_OFFLOAD_RSS_HASH;
extern const uint64_t SHIM_RX_OFFLOAD_VLAN_FILTER;
extern const uint64_t SHIM_RX_OFFLOAD_CHECKSUMS;
extern const uint64_t SHIM_TX_OFFLOAD_CHECKSUMS;

struct shim_link {
	uint32_t speed_mbps; /* UINT32_MAX: unknown */
	uint8_t up;
	uint8_t full_duplex;
	uint8_t autoneg;
};

struct shim_stats {
	uint64_t rx_packets;
	uint64_t tx_packets;
	uint64_t rx_bytes;
	uint64_t tx_bytes;
	uint64_t rx_missed;
	uint64_t rx_errors;
	uint64_t tx_errors;
	uint64_t rx_nombuf;
};

/* What EAL and the drivers know of a device, for people. */
struct shim_device {
	const char *name;
	const char *bus;
	const char *bus_info;
	const char *arguments;
	int numa_node; /* -1: none */
};

/* A queue as its driver set it up. */
struct shim_queue {
	char pool[32]; /* RX */
	char burst_mode[128]; /* empty: not known */
	uint64_t offloads;
	uint16_t descriptors;
	uint16_t free_threshold;
	uint16_t rs_threshold; /* TX */
	uint8_t prefetch;
	uint8_t host;
	uint8_t writeback;
	uint8_t deferred_start;
	uint8_t drop; /* RX */
	uint8_t scattered; /* RX */
	uint8_t state;
};

/* What rte_*_dump() functions print. */
enum shim_dump_of {
	SHIM_DUMP_MEMPOOLS,
	SHIM_DUMP_RINGS,
	SHIM_DUMP_MEMZONES,
	SHIM_DUMP_PHYSMEM,
	SHIM_DUMP_HEAP,
	SHIM_DUMP_DEVARGS,
	SHIM_DUMP_LOG_TYPES,
	SHIM_DUMP_TAILQS,
};

/* Every item's fields begin with the header as it is on the wire, and fit into this many bytes. */
#define SHIM_FLOW_ITEM_ROOM 64

enum shim_flow_item_kind {
	SHIM_FLOW_ETH,
	SHIM_FLOW_VLAN,
	SHIM_FLOW_IPV4,
	SHIM_FLOW_IPV6,
	SHIM_FLOW_TCP,
	SHIM_FLOW_UDP,
	SHIM_FLOW_SCTP,
	SHIM_FLOW_ICMP,
	SHIM_FLOW_VXLAN,
	SHIM_FLOW_ARP,
};

struct shim_flow_item {
	uint32_t kind;
	uint32_t any; /* whatever its fields hold */
	uint32_t ranges; /* last is there */
	uint8_t last[SHIM_FLOW_ITEM_ROOM];
	uint8_t spec[SHIM_FLOW_ITEM_ROOM];
	uint8_t mask[SHIM_FLOW_ITEM_ROOM];
};

enum shim_flow_action_kind {
	SHIM_FLOW_DROP,
	SHIM_FLOW_PASSTHRU,
	SHIM_FLOW_QUEUE,
	SHIM_FLOW_JUMP,
	SHIM_FLOW_MARK,
	SHIM_FLOW_FLAG,
	SHIM_FLOW_COUNT,
	SHIM_FLOW_RSS,
	SHIM_FLOW_SET_MAC_SRC,
	SHIM_FLOW_SET_MAC_DST,
	SHIM_FLOW_SET_IPV4_SRC,
	SHIM_FLOW_SET_IPV4_DST,
};

enum shim_flow_hash {
	SHIM_FLOW_HASH_DEFAULT,
	SHIM_FLOW_HASH_TOEPLITZ,
	SHIM_FLOW_HASH_SIMPLE_XOR,
	SHIM_FLOW_HASH_SYMMETRIC_TOEPLITZ,
};

struct shim_flow_action {
	uint32_t kind;
	uint32_t value; /* queue, group, mark, or shim_flow_hash of RSS */
	uint8_t address[8]; /* that is set */
	uint64_t fields; /* RSS */
	const uint16_t *queues; /* RSS */
	uint32_t queue_count;
};

#define SHIM_FLOW_MOST 16

struct shim_flow_rule {
	uint32_t group;
	uint32_t priority;
	uint8_t ingress;
	uint8_t egress;
	uint8_t transfer;
	uint32_t item_count; /* up to SHIM_FLOW_MOST, as actions */
	uint32_t action_count;
	struct shim_flow_item items[SHIM_FLOW_MOST];
	struct shim_flow_action actions[SHIM_FLOW_MOST];
};

struct shim_flow_count {
	uint64_t hits;
	uint64_t bytes;
	uint8_t hits_set;
	uint8_t bytes_set;
};

struct shim_flow_error {
	uint32_t type;
	char message[256]; /* empty: no reason given */
};

/* rte_errno of the calling thread. */
int shim_errno(void);
unsigned int shim_lcore_id(void);
/* The first CPU that an lcore of EAL may run on. */
unsigned int shim_lcore_cpu(unsigned int lcore);
uint64_t shim_tsc(void);
uint64_t shim_tsc_hz(void);

/* Gives a driver that frees what it has sent only when it is to send again the occasion to do so. */
void shim_tx_nothing(uint16_t port, uint16_t queue);

/* All of them or none: 0, or -ENOENT. */
int shim_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned int count);
/* Packets of `length` bytes, whose content is arbitrary. All of them or none: 0, -ENOENT, or -EINVAL for too long ones. */
int shim_alloc_packets(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned int count, uint16_t length);
void shim_free(struct rte_mbuf *mbuf);
void shim_refcnt_update(struct rte_mbuf *mbuf, int16_t change);
uint16_t shim_refcnt(const struct rte_mbuf *mbuf);
int shim_linearize(struct rte_mbuf *mbuf);
int shim_chain(struct rte_mbuf *head, struct rte_mbuf *tail);
/*
 * As rte_pktmbuf_pool_create, but where devices use virtual addresses the buffers stand one behind
 * the other without regard to pages, on plain pages in one piece. That saves the rest of each page;
 * and the AF_XDP driver, which takes them to stand so, would leave out the last ones.
 */
struct rte_mempool *shim_pool_create(const char *name, unsigned int count, unsigned int cache, uint16_t data_room,
	int socket);
unsigned int shim_pool_size(const struct rte_mempool *pool);
/* Where the mbuf at offset 0 of the umem would be, that the AF_XDP driver makes of a pool. */
void *shim_xdp_umem(const struct rte_mempool *pool);

unsigned int shim_ring_enqueue_burst(struct rte_ring *ring, struct rte_mbuf **mbufs, unsigned int count);
unsigned int shim_ring_dequeue_burst(struct rte_ring *ring, struct rte_mbuf **mbufs, unsigned int count);

/* The guest of a vhost port; all 0 when there is none. */
struct shim_guest {
	uint64_t features; /* VIRTIO_NET_F_*, as agreed */
	uint64_t tx_queues; /* bit n: it takes packets from our TX queue n */
};

/* Keeps *guest, which must stay until shim_vhost_ignore, up to date, from threads of vhost. */
int shim_vhost_watch(uint16_t port, struct shim_guest *guest);
void shim_vhost_ignore(uint16_t port, struct shim_guest *guest);
/* Brings it up to date now. */
void shim_vhost_read(uint16_t port, struct shim_guest *guest);
int shim_link_get(uint16_t port, struct shim_link *link);
void shim_device_get(const struct rte_device *device, struct shim_device *about);
int shim_rx_queue_get(uint16_t port, uint16_t queue, struct shim_queue *about);
int shim_tx_queue_get(uint16_t port, uint16_t queue, struct shim_queue *about);
int shim_rss_get(uint16_t port, uint8_t *key, uint8_t length, uint64_t *fields);
/* A key of length 0 leaves the key as it is. */
int shim_rss_set(uint16_t port, const uint8_t *key, uint8_t length, uint64_t fields);
int shim_rx_used(uint16_t port, uint16_t queue);
int shim_rx_descriptor(uint16_t port, uint16_t queue, uint16_t descriptor);
int shim_tx_descriptor(uint16_t port, uint16_t queue, uint16_t descriptor);
/* The Toeplitz hash of words; the key has 4 bytes more than they. */
uint32_t shim_toeplitz(const uint32_t *words, uint32_t count, const uint8_t *key);

/* CRC-32C, not complemented. */
uint32_t shim_crc32c(const uint8_t *bytes, uint32_t length, uint32_t start);

/* Validates the rule, or creates it where `flow` is given. */
int shim_flow_make(uint16_t port, const struct shim_flow_rule *rule, struct rte_flow **flow,
	struct shim_flow_error *error);
int shim_flow_destroy(uint16_t port, struct rte_flow *flow, struct shim_flow_error *error);
int shim_flow_query(uint16_t port, struct rte_flow *flow, struct shim_flow_count *count, struct shim_flow_error *error);
int shim_flow_flush(uint16_t port, struct shim_flow_error *error);
int shim_flow_isolate(uint16_t port, int on, struct shim_flow_error *error);
/* To be given to free(); NULL when memory is out. */
char *shim_dump(int what, const char *name);
int shim_stats_get(uint16_t port, struct shim_stats *stats);

#define SHIM_EVENT_RESET 1u
#define SHIM_EVENT_REMOVED 2u
/* Remembers events of an open port until they are taken; ends when the port is closed. */
int shim_events_watch(uint16_t port);
unsigned int shim_events_take(uint16_t port);

#endif
