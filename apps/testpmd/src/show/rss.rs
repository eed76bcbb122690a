//! Names of the fields that packets are spread over queues by (`RTE_ETH_RSS_*`).

/// `RTE_ETH_RSS_IP`.
pub(crate) const IP: u64 = 0xa38c;
/// `RTE_ETH_RSS_TCP`.
const TCP: u64 = 0x1_0410;
/// `RTE_ETH_RSS_UDP`.
pub(crate) const UDP: u64 = 0x2_0820;
/// `RTE_ETH_RSS_SCTP`.
const SCTP: u64 = 0x1040;
/// Everything that `port config all rss all` asks for.
const ALL: u64 = 0x13_7f83_fffc;

/// Each bit's name, as it is shown and typed.
const NAMES: &[(u32, &str)] = &[
    (2, "ipv4"),
    (3, "ipv4-frag"),
    (4, "ipv4-tcp"),
    (5, "ipv4-udp"),
    (6, "ipv4-sctp"),
    (7, "ipv4-other"),
    (8, "ipv6"),
    (9, "ipv6-frag"),
    (10, "ipv6-tcp"),
    (11, "ipv6-udp"),
    (12, "ipv6-sctp"),
    (13, "ipv6-other"),
    (14, "l2-payload"),
    (15, "ipv6-ex"),
    (16, "ipv6-tcp-ex"),
    (17, "ipv6-udp-ex"),
    (18, "port"),
    (19, "vxlan"),
    (20, "geneve"),
    (21, "nvgre"),
    (23, "gtpu"),
    (24, "eth"),
    (25, "s-vlan"),
    (26, "c-vlan"),
    (27, "esp"),
    (28, "ah"),
    (29, "l2tpv3"),
    (30, "pfcp"),
    (31, "pppoe"),
    (32, "ecpri"),
    (33, "mpls"),
    (34, "ipv4-chksum"),
    (35, "l4-chksum"),
    (36, "l2tpv2"),
    (52, "l3-pre96"),
    (53, "l3-pre64"),
    (54, "l3-pre56"),
    (55, "l3-pre48"),
    (56, "l3-pre40"),
    (57, "l3-pre32"),
    (58, "l2-dst-only"),
    (59, "l2-src-only"),
    (60, "l4-dst-only"),
    (61, "l4-src-only"),
    (62, "l3-dst-only"),
    (63, "l3-src-only"),
];

/// Names that stand for several bits.
const GROUPS: &[(&str, u64)] = &[
    ("all", ALL),
    ("none", 0),
    ("ip", IP),
    ("tcp", TCP),
    ("udp", UDP),
    ("sctp", SCTP),
    ("vlan", 3 << 25),
    ("tunnel", 7 << 19),
];

/// The bits of a name.
pub(crate) fn fields(name: &str) -> Option<u64> {
    let group = GROUPS.iter().find(|(known, _)| *known == name).map(|(_, bits)| *bits);
    group.or_else(|| NAMES.iter().find(|(_, known)| *known == name).map(|(bit, _)| 1 << bit))
}

/// The names of bits, lowest first; those without a name as numbers.
pub(crate) fn names(fields: u64) -> Vec<String> {
    let name = |bit: u32| {
        let known = NAMES.iter().find(|(known, _)| *known == bit);
        known.map_or_else(|| format!("user_defined_{bit}"), |(_, name)| (*name).to_owned())
    };
    (0..u64::BITS).filter(|bit| fields >> bit & 1 == 1).map(name).collect()
}

/// Columns that a line of names has at most.
const COLUMNS: usize = 64;

/// The names in lines.
pub(crate) fn lines(fields: u64) -> Vec<String> {
    let mut lines = vec![String::new()];
    for name in names(fields) {
        let last = lines.len() - 1;
        if lines[last].len() + 2 + name.len() > COLUMNS && !lines[last].is_empty() {
            lines.push(String::new());
        }
        let last = lines.len() - 1;
        lines[last].push_str("  ");
        lines[last].push_str(&name);
    }
    lines
}
