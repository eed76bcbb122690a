#include "shim.h"

#include <stddef.h>

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

int shim_errno(void)
{
	return rte_errno;
}

unsigned int shim_lcore_id(void)
{
	return rte_lcore_id();
}

uint64_t shim_tsc(void)
{
	return rte_rdtsc();
}

uint64_t shim_tsc_hz(void)
{
	return rte_get_tsc_hz();
}

uint16_t shim_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_rx_burst(port, queue, mbufs, count);
}

uint16_t shim_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_tx_burst(port, queue, mbufs, count);
}

int shim_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned int count)
{
	return rte_pktmbuf_alloc_bulk(pool, mbufs, count);
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
