//! What IPv4 and IPv6 have in common: protocol numbers (IANA "Assigned Internet Protocol Numbers").
//!
//! ```
//! use iogate::packet::IpProtocol;
//!
//! assert_eq!(IpProtocol(6), IpProtocol::TCP);
//! assert_eq!(IpProtocol::UDP.to_string(), "UDP");
//! assert!(IpProtocol::FRAGMENT.is_extension());
//! ```

code! {
    /// The protocol that an IP packet carries; in IPv6 also the kind of an extension header.
    IpProtocol(u8) {
        /// IPv6 hop-by-hop options (RFC 8200, section 4.3).
        HOP_BY_HOP = 0 "hop-by-hop";
        /// ICMP (RFC 792).
        ICMP = 1 "ICMP";
        /// IGMP (RFC 9776).
        IGMP = 2 "IGMP";
        /// IPv4 in IP (RFC 2003).
        IPV4 = 4 "IPv4";
        /// TCP (RFC 9293).
        TCP = 6 "TCP";
        /// UDP (RFC 768).
        UDP = 17 "UDP";
        /// IPv6 in IP (RFC 4213).
        IPV6 = 41 "IPv6";
        /// IPv6 routing header (RFC 8200, section 4.4).
        ROUTING = 43 "routing";
        /// IPv6 fragment header (RFC 8200, section 4.5).
        FRAGMENT = 44 "fragment";
        /// GRE (RFC 2784).
        GRE = 47 "GRE";
        /// Encapsulating security payload (RFC 4303).
        ESP = 50 "ESP";
        /// Authentication header (RFC 4302).
        AH = 51 "AH";
        /// ICMPv6 (RFC 4443).
        ICMPV6 = 58 "ICMPv6";
        /// Nothing follows (RFC 8200, section 4.7).
        NONE = 59 "none";
        /// IPv6 destination options (RFC 8200, section 4.6).
        DESTINATION = 60 "destination options";
        /// OSPF (RFC 2328).
        OSPF = 89 "OSPF";
        /// VRRP (RFC 9568).
        VRRP = 112 "VRRP";
        /// SCTP (RFC 9260).
        SCTP = 132 "SCTP";
        /// IPv6 mobility header (RFC 6275).
        MOBILITY = 135 "mobility";
        /// Host identity protocol (RFC 7401).
        HIP = 139 "HIP";
        /// Shim6 (RFC 5533).
        SHIM6 = 140 "Shim6";
    }
}

impl IpProtocol {
    /// Whether this is an IPv6 extension header that names its successor and can be skipped by its length. ESP is not: what
    /// follows it is encrypted.
    #[inline]
    #[must_use]
    pub const fn is_extension(self) -> bool {
        matches!(
            self,
            Self::HOP_BY_HOP
                | Self::ROUTING
                | Self::FRAGMENT
                | Self::AH
                | Self::DESTINATION
                | Self::MOBILITY
                | Self::HIP
                | Self::SHIM6
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions() {
        assert!(IpProtocol::AH.is_extension() && IpProtocol::HOP_BY_HOP.is_extension());
        assert!(!IpProtocol::ESP.is_extension() && !IpProtocol::NONE.is_extension());
        assert_eq!(IpProtocol(200).to_string(), "0xc8");
    }
}
