//! Why the gateway drops a frame.

use iogate::pipeline::DropReason;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $constant:ident = $number:literal, $name:literal;)+) => {
        $($(#[doc = $doc])+ pub const $constant: DropReason = DropReason::app($number);)+

        /// The name of a reason, as `show drops` prints it.
        pub fn name(reason: DropReason) -> &'static str {
            match reason.name() {
                Ok(name) => name,
                $(Err($number) => $name,)+
                Err(_) => "unknown",
            }
        }

        /// What a reason means, in a sentence.
        pub fn meaning(reason: DropReason) -> &'static str {
            match reason {
                $($constant => concat!($($doc),+).trim_ascii(),)+
                DropReason::TX_FULL => "The port that it was for took no more.",
                DropReason::NO_BUFFER => "The pool had no buffer for a copy.",
                DropReason::CHAINED => "It was in several buffers, which the port cannot send.",
                DropReason::UNFINISHED => "The guest left work to its card that cannot be done for this packet.",
                DropReason::STOPPED => "The gateway stopped before it could be sent.",
                _ => "It came out of the end of the pipeline.",
            }
        }
    };
}

reasons! {
    /// A header is cut short or contradicts itself.
    MALFORMED = 0, "malformed";
    /// The source address is multicast or zero, which no station has.
    BAD_SOURCE = 1, "bad-source-mac";
    /// For the next bridge only (01-80-C2-00-00-0x), as LLDP and LACP are: the gateway is an edge.
    LINK_LOCAL = 2, "link-local";
    /// PAUSE or PFC, which ends at a port.
    MAC_CONTROL = 3, "mac-control";
    /// A VLAN tag inside the one that tells where the frame belongs, or a tag of another kind.
    NESTED_TAG = 4, "nested-tag";
    /// The tag belongs to nothing on this link or uplink.
    UNKNOWN_VLAN = 5, "unknown-vlan";
    /// No adapter on this link has this source address with this tag: spoofed, or not configured.
    UNKNOWN_SOURCE = 6, "unknown-source-mac";
    /// The adapter is set down.
    ADAPTER_DOWN = 7, "adapter-down";
    /// An ARP sender address that is not the adapter's.
    SPOOFED_ARP = 8, "spoofed-arp";
    /// An IPv6 neighbour discovery address that is not the adapter's.
    SPOOFED_ND = 9, "spoofed-nd";
    /// An IP source address that is not the adapter's.
    SPOOFED_IP = 10, "spoofed-ip";
    /// Storage traffic on a network of the network side.
    STORAGE_ON_NETWORK = 11, "storage-on-network";
    /// Other than storage traffic on a storage network.
    NETWORK_ON_STORAGE = 12, "network-on-storage";
    /// A storage protocol that the vHBA may not speak.
    WRONG_PROTOCOL = 13, "wrong-protocol";
    /// From an uplink with a source address that is ours: our own frame coming back.
    DEJA_VU = 14, "deja-vu";
    /// From an uplink to an address that no adapter has.
    UNKNOWN_UNICAST = 15, "unknown-unicast";
    /// Broadcast or multicast from an uplink that is not the active one of its group.
    STANDBY_UPLINK = 16, "standby-uplink";
    /// On a fabric's uplink with a VLAN of the other fabric.
    WRONG_FABRIC = 17, "wrong-fabric";
    /// For the world outside, and no uplink of the group is up.
    NO_UPLINK = 18, "no-uplink";
    /// Longer than the network's MTU, as it is or with the tag that it gets.
    TOO_BIG = 19, "too-big";
    /// To the adapter that it came from.
    TO_ITSELF = 20, "to-itself";
    /// Broadcast or multicast with nobody else to receive it.
    NO_RECEIVER = 21, "no-receiver";
    /// Its buffer had no headroom for the tag that it needs.
    NO_ROOM = 22, "no-headroom";
    /// Its ethertype stands behind an LLC header (SNAP), which would hide what it carries.
    SNAP = 23, "snap";
}
