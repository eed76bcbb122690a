/* What a frame is: its headers read once, checked as iogate's data path checks them. */
#ifndef FRAME_H
#define FRAME_H

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "tables.h"

enum payload { OTHER, ARP, IPV4, IPV6, ICMPV6 };

struct frame {
	uint64_t src, dst; /* addresses in the low 48 bits, as they stand in the frame */
	uint16_t vlan;
	uint8_t offset; /* where the layer above Ethernet starts */
	uint8_t payload;
	bool tagged, fragment, later_fragment;
	uint32_t sender; /* the source of an IPv4 packet, as it stands there */
};

static inline uint16_t
get16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, 2);
	return rte_be_to_cpu_16(value);
}

static inline uint64_t
get_mac(const uint8_t *at)
{
	uint32_t low;
	uint16_t high;

	memcpy(&low, at, 4);
	memcpy(&high, at + 4, 2);
	return low | (uint64_t)high << 32;
}

static inline enum reason
read_transport(const uint8_t *at, size_t length, uint8_t protocol, uint32_t *verdict)
{
	*verdict |= ip_protocols[protocol];
	if (protocol == IPPROTO_TCP) {
		size_t header;

		if (length < 20)
			return MALFORMED;
		header = (at[12] >> 4) * 4;
		if (header < 20 || header > length)
			return MALFORMED;
		*verdict |= tcp_ports[get16(at)] | tcp_ports[get16(at + 2)];
	} else if (protocol == IPPROTO_UDP) {
		if (length < 8 || get16(at + 4) < 8)
			return MALFORMED;
		*verdict |= udp_src[get16(at)] | udp_dst[get16(at + 2)];
	}
	return NONE;
}

static inline bool
is_extension(uint8_t protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING || protocol == IPPROTO_FRAGMENT ||
		protocol == IPPROTO_AH || protocol == IPPROTO_DSTOPTS || protocol == 135 || protocol == 139 || protocol == 140;
}

/* `data` are the first `room` bytes of a frame of `length`. */
static inline enum reason
read_frame(struct frame *frame, const uint8_t *data, size_t room, size_t length, uint32_t *verdict)
{
	const uint8_t *above;
	uint16_t type;
	size_t header, total;

	if (unlikely(room < 14))
		return MALFORMED;
	frame->dst = get_mac(data);
	frame->src = get_mac(data + 6);
	if (unlikely((frame->src & 1) != 0 || frame->src == 0))
		return BAD_SOURCE;
	type = get16(data + 12);
	frame->offset = 14;
	frame->vlan = 0;
	frame->tagged = false;
	if (type == RTE_ETHER_TYPE_VLAN) {
		if (unlikely(room < 18))
			return MALFORMED;
		frame->vlan = get16(data + 14) & 0xfff;
		frame->offset = 18;
		frame->tagged = true;
		type = get16(data + 16);
	}
	if (unlikely(type == RTE_ETHER_TYPE_VLAN || type == RTE_ETHER_TYPE_QINQ || type == 0x9100 || type == 0x9200 || type == 0x9300))
		return NESTED_TAG;
	if (unlikely(type == 0x8808))
		return MAC_CONTROL;
	if (unlikely((frame->dst & 1) != 0)) {
		/* 01-80-C2-00-00-0x is for the next bridge. */
		bool local = (frame->dst & 0xf0ffffffffffULL) == 0x0000c28001ULL;

		return local ? LINK_LOCAL : MULTICAST;
	}
	above = data + frame->offset;
	room -= frame->offset;
	length -= frame->offset;
	frame->payload = OTHER;
	frame->fragment = frame->later_fragment = false;
	*verdict = ether_types[type];
	switch (type) {
	case RTE_ETHER_TYPE_IPV4:
		if (unlikely(room < 20 || above[0] >> 4 != 4))
			return MALFORMED;
		header = (above[0] & 0xf) * 4;
		total = get16(above + 2);
		if (unlikely(header < 20 || header > room || total < header || total > length))
			return MALFORMED;
		frame->payload = IPV4;
		memcpy(&frame->sender, above + 12, 4);
		frame->fragment = (get16(above + 6) & 0x3fff) != 0;
		frame->later_fragment = (get16(above + 6) & 0x1fff) != 0;
		if (unlikely(frame->later_fragment)) {
			*verdict |= ip_protocols[above[9]];
			return NONE;
		}
		return read_transport(above + header, RTE_MIN(room, total) - header, above[9], verdict);
	case RTE_ETHER_TYPE_IPV6:
		if (unlikely(room < 40 || above[0] >> 4 != 6 || 40u + get16(above + 4) > length))
			return MALFORMED;
		if (unlikely(is_extension(above[6])))
			return EXTENSION;
		frame->payload = above[6] == IPPROTO_ICMPV6 ? ICMPV6 : IPV6;
		return read_transport(above + 40, RTE_MIN(room - 40, (size_t)get16(above + 4)), above[6], verdict);
	case RTE_ETHER_TYPE_ARP:
		frame->payload = ARP;
		return NONE;
	default:
		if (unlikely(type <= 1500 && room >= 3 && above[0] == 0xaa && above[1] == 0xaa && above[2] == 3))
			return SNAP;
		return NONE;
	}
}

static inline bool
may_use_v4(const struct adapter *owner, uint32_t address)
{
	if (likely(address == owner->v4[0]) || address == 0 || owner->any_ip)
		return true;
	for (unsigned int at = 1; at < owner->v4_count; at++)
		if (owner->v4[at] == address)
			return true;
	return false;
}

static inline bool
may_use_v6(const struct adapter *owner, const uint8_t *address)
{
	bool link_local = address[0] == 0xfe && (address[1] & 0xc0) == 0x80;

	if (owner->any_ip || (link_local && !owner->names_link_local))
		return true;
	for (unsigned int at = 0; at < owner->v6_count; at++)
		if (memcmp(owner->v6[at], address, 16) == 0)
			return true;
	return false;
}

/* Every link-layer address in neighbour discovery must be the sender's own (RFC 4861). */
static enum reason
spoofed_neighbour(const uint8_t *icmp, size_t room, bool honest, const struct adapter *owner)
{
	size_t at;

	if (room < 4)
		return MALFORMED;
	switch (icmp[0]) {
	case 133: at = 8; break;
	case 134: at = 16; break;
	case 135: at = 24; break;
	case 136: at = 24; honest = room >= 24 && may_use_v6(owner, icmp + 8); break;
	case 137: return icmp[1] != 0 || room < 40 ? MALFORMED : honest ? NONE : SPOOFED_ND;
	default: return NONE;
	}
	if (icmp[1] != 0 || room < at)
		return MALFORMED;
	for (; honest && at < room; at += icmp[at + 1] * 8) {
		if (room - at < 8 || icmp[at + 1] == 0 || icmp[at + 1] * 8u > room - at)
			return SPOOFED_ND;
		if ((icmp[at] == 1 || icmp[at] == 2) && (icmp[at + 1] != 1 || get_mac(icmp + at + 2) != owner->mac))
			return SPOOFED_ND;
	}
	return honest ? NONE : SPOOFED_ND;
}

static inline enum reason
spoofed(const struct frame *frame, const uint8_t *data, size_t room, const struct adapter *owner)
{
	static const uint8_t kinds[] = {0, 1, 8, 0, 6, 4}, zero[16];
	const uint8_t *above = data + frame->offset;
	bool honest;
	uint32_t sender;

	room -= frame->offset;
	switch (frame->payload) {
	case IPV4:
		return likely(!owner->check_ip || may_use_v4(owner, frame->sender)) ? NONE : SPOOFED_IP;
	case ARP:
		if (!owner->check_arp)
			return NONE;
		if (unlikely(room < 28 || memcmp(above, kinds, 6) != 0))
			return MALFORMED;
		memcpy(&sender, above + 14, 4);
		return likely(get_mac(above + 8) == owner->mac && may_use_v4(owner, sender)) ? NONE : SPOOFED_ARP;
	case IPV6:
	case ICMPV6:
		honest = memcmp(above + 8, zero, 16) == 0 || may_use_v6(owner, above + 8);
		if (unlikely(owner->check_ip && !honest))
			return SPOOFED_IP;
		if (!owner->check_nd || frame->payload != ICMPV6)
			return NONE;
		return spoofed_neighbour(above + 40, RTE_MIN(room - 40, (size_t)get16(above + 4)), honest, owner);
	default:
		return NONE;
	}
}

/* Gives the packet this tag instead of the one it has; 0 takes its tag off. False where there is no room. */
static inline bool
set_tag(struct rte_mbuf *packet, bool tagged, uint16_t vlan, uint8_t pcp)
{
	uint8_t *data = rte_pktmbuf_mtod(packet, uint8_t *);
	const uint16_t tci = rte_cpu_to_be_16((uint16_t)(pcp << 13 | vlan));

	if (tagged && vlan != 0) {
		memcpy(data + 14, &tci, 2);
	} else if (tagged) {
		memmove(data + 4, data, 12);
		rte_pktmbuf_adj(packet, 4);
	} else if (vlan != 0) {
		const uint16_t type = RTE_BE16(RTE_ETHER_TYPE_VLAN);
		uint8_t *front = (uint8_t *)rte_pktmbuf_prepend(packet, 4);

		if (unlikely(front == NULL))
			return false;
		memmove(front, data, 12);
		memcpy(front + 12, &type, 2);
		memcpy(front + 14, &tci, 2);
	}
	return true;
}

#endif
