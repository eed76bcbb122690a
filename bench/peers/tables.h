/* What the peer looks things up in, and what it counts. Filled once from a file; see src/peers/tables.rs. */
#ifndef TABLES_H
#define TABLES_H

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_prefetch.h>

#define MAX_PORTS 32
#define CLASSES 8
#define NO_PROTOCOL 16
#define NO_NETWORK UINT16_MAX
#define NETWORK_SCOPE 0x80000000U
#define NETWORK 0
#define STORAGE 1
#define FROM_SERVER 0
#define TO_SERVER 1
#define MOST_IPS 4

enum reason {
	NONE, MALFORMED, BAD_SOURCE, LINK_LOCAL, MAC_CONTROL, NESTED_TAG, UNKNOWN_VLAN, UNKNOWN_SOURCE, SPOOFED_ARP,
	SPOOFED_ND, SPOOFED_IP, STORAGE_ON_NETWORK, NETWORK_ON_STORAGE, WRONG_PROTOCOL, DEJA_VU, UNKNOWN_UNICAST,
	TOO_BIG, TO_ITSELF, NO_ROOM, SNAP, TX_FULL, MULTICAST, EXTENSION, REASONS
};

static const char *const reason_names[REASONS] = {
	"none", "malformed", "bad-source-mac", "link-local", "mac-control", "nested-tag", "unknown-vlan",
	"unknown-source-mac", "spoofed-arp", "spoofed-nd", "spoofed-ip", "storage-on-network", "network-on-storage",
	"wrong-protocol", "deja-vu", "unknown-unicast", "too-big", "to-itself", "no-headroom", "snap", "tx-full",
	"multicast-not-supported", "extension-header-not-supported",
};

struct counter {
	uint64_t packets, bytes;
};

struct adapter {
	uint64_t mac;
	uint32_t forbidden;
	uint16_t network, outlet, tag;
	bool check_arp, check_nd, check_ip, any_ip, names_link_local;
	uint8_t v4_count, v6_count;
	uint32_t v4[MOST_IPS];
	uint8_t v6[MOST_IPS][16];
} __rte_cache_aligned;

struct network {
	uint8_t side;
	uint16_t vlan, uplink, mtu, payload;
};

/* 16 bytes, so that a lookup is one cache line; at most a quarter of the table is full. */
struct entry {
	uint64_t key;
	uint32_t scope, value;
};

/* Bits of classes, and from bit 8 on of storage protocols. */
static uint32_t ether_types[1 << 16], ip_protocols[256], tcp_ports[1 << 16], udp_src[1 << 16], udp_dst[1 << 16];
static uint8_t pcps[CLASSES], allowed_classes[2], default_class;
static struct network networks[4096];
static uint16_t uplink_networks[MAX_PORTS][4096];
static uint64_t link_vlans[MAX_PORTS][64];
static struct adapter *adapters;
static uint32_t adapter_count;
static struct entry *entries;
static unsigned int entries_shift;
static uint64_t entries_mask;
static struct counter (*traffic)[CLASSES][2], *adapter_dropped;

static inline void
count(struct counter *counter, uint32_t bytes)
{
	counter->packets++;
	counter->bytes += bytes;
}

static inline uint64_t
start(uint64_t key, uint32_t scope)
{
	unsigned __int128 product = (unsigned __int128)(key ^ (uint64_t)scope << 17) * 0x9e3779b97f4a7c15ULL;

	return ((uint64_t)product ^ (uint64_t)(product >> 64)) >> entries_shift;
}

static inline void
prefetch(uint32_t scope, uint16_t tag, uint64_t mac)
{
	rte_prefetch0(&entries[start(mac | (uint64_t)tag << 48, scope)]);
}

/* The adapter with this address here, or UINT32_MAX. */
static inline uint32_t
find(uint32_t scope, uint16_t tag, uint64_t mac)
{
	uint64_t key = mac | (uint64_t)tag << 48, at = start(key, scope);

	for (;; at++) {
		const struct entry *entry = &entries[at & entries_mask];

		if (entry->key == key && entry->scope == scope)
			return entry->value;
		if (entry->scope == UINT32_MAX)
			return UINT32_MAX;
	}
}

static inline bool
link_has_vlan(unsigned int link, uint16_t vlan)
{
	return link_vlans[link][vlan / 64] >> vlan % 64 & 1;
}

static void
insert(uint32_t scope, uint16_t tag, uint64_t mac, uint32_t value)
{
	uint64_t key = mac | (uint64_t)tag << 48, at = start(key, scope);

	while (entries[at & entries_mask].scope != UINT32_MAX)
		at++;
	entries[at & entries_mask] = (struct entry){key, scope, value};
}

static bool
add_match(const char *kind, unsigned int first, unsigned int last, uint32_t bits)
{
	uint32_t *table = strcmp(kind, "ethertype") == 0 ? ether_types : strcmp(kind, "ip") == 0 ? ip_protocols :
		strcmp(kind, "tcp") == 0 ? tcp_ports : strcmp(kind, "udp-src") == 0 ? udp_src :
		strcmp(kind, "udp-dst") == 0 ? udp_dst : NULL;

	if (table == NULL || last >= (table == ip_protocols ? 256u : 65536u))
		return false;
	for (; first <= last; first++)
		table[first] |= bits;
	return true;
}

static bool
add_ip(struct adapter *adapter, const char *text)
{
	uint8_t address[16];

	if (inet_pton(AF_INET, text, address) == 1 && adapter->v4_count < MOST_IPS) {
		memcpy(&adapter->v4[adapter->v4_count++], address, 4);
		return true;
	}
	if (inet_pton(AF_INET6, text, address) == 1 && adapter->v6_count < MOST_IPS) {
		adapter->names_link_local |= address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
		memcpy(adapter->v6[adapter->v6_count++], address, 16);
		return true;
	}
	return false;
}

static bool
make_room(uint32_t count)
{
	uint64_t size = 16;

	entries_shift = 60;
	while (size < (uint64_t)count * 8) {
		size *= 2;
		entries_shift--;
	}
	entries_mask = size - 1;
	entries = aligned_alloc(64, size * sizeof(*entries));
	adapters = aligned_alloc(64, (count + 1) * sizeof(*adapters));
	traffic = calloc(count + 1, sizeof(*traffic));
	adapter_dropped = calloc(count + 1, sizeof(*adapter_dropped));
	if (entries == NULL || adapters == NULL || traffic == NULL || adapter_dropped == NULL)
		return false;
	memset(entries, 0xff, size * sizeof(*entries));
	memset(adapters, 0, (count + 1) * sizeof(*adapters));
	return true;
}

static bool
add_adapter(char *line, uint32_t most, unsigned int links)
{
	struct adapter *adapter = &adapters[adapter_count];
	unsigned int link, tag, network, arp, nd, ip;
	int used;
	char *word;

	if (adapter_count == most || sscanf(line, "adapter %u %u %u %" SCNx32 " %u %u %u %" SCNx64 "%n", &link, &tag, &network,
		&adapter->forbidden, &arp, &nd, &ip, &adapter->mac, &used) != 8 || link >= links || tag >= 4096 || network >= 4096)
		return false;
	adapter->network = network;
	adapter->outlet = link;
	adapter->tag = tag;
	adapter->check_arp = arp;
	adapter->check_nd = nd;
	adapter->check_ip = ip;
	for (word = strtok(line + used, " \n"); word != NULL; word = strtok(NULL, " \n"))
		if (!add_ip(adapter, word))
			return false;
	adapter->any_ip = adapter->v4_count + adapter->v6_count == 0;
	link_vlans[link][tag / 64] |= 1ULL << tag % 64;
	insert(link, tag, adapter->mac, adapter_count);
	insert(NETWORK_SCOPE | network, 0, adapter->mac, adapter_count);
	adapter_count++;
	return true;
}

/* Reads the file; says on stderr which line is wrong. */
static bool
read_tables(const char *path, unsigned int *links, unsigned int *ports)
{
	FILE *file = fopen(path, "r");
	char line[512], word[16];
	unsigned int a, b, c, d, e, f, number = 0, uplinks = 0, most = 0;
	bool good = file != NULL;

	memset(uplink_networks, 0xff, sizeof(uplink_networks));
	*links = 0;
	while (good && fgets(line, sizeof(line), file) != NULL) {
		number++;
		if (sscanf(line, "ports %u %u %u %u", links, &uplinks, &most, &a) == 4) {
			good = a < CLASSES && *links + uplinks <= MAX_PORTS && make_room(most);
			default_class = a;
		} else if (most == 0) {
			good = false;
		} else if (sscanf(line, "class %u %u %u %u", &a, &b, &c, &d) == 4 && a < CLASSES) {
			pcps[a] = b;
			allowed_classes[NETWORK] |= (c != 0) << a;
			allowed_classes[STORAGE] |= (d != 0) << a;
		} else if (sscanf(line, "match %15s %u %u %x", word, &a, &b, &c) == 4) {
			good = add_match(word, a, b, c);
		} else if (sscanf(line, "network %u %u %u %u %u %u", &a, &b, &c, &d, &e, &f) == 6 && a < 4096 && b < 2 && c < 4096 && d < uplinks) {
			networks[a] = (struct network){.side = b, .vlan = c, .uplink = d, .mtu = e, .payload = f};
			uplink_networks[d][c] = a;
		} else {
			good = add_adapter(line, most, *links);
		}
	}
	if (!good)
		fprintf(stderr, "%s: line %u is wrong\n", path, number);
	if (file != NULL)
		fclose(file);
	*ports = *links + uplinks;
	return good && most != 0;
}

#endif
