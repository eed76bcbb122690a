//! How the types of the API stand on the wire.

use super::{EtherType, IpProtocol, MacAddr, Tci};
use std::net::{Ipv4Addr, Ipv6Addr};
use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::little_endian;

/// A field that holds a `T`, in the byte order of the field's type.
pub(super) trait Wire<T> {
    fn read(&self) -> T;
    fn write(&mut self, value: T);
}

/// Implements [`Wire`] for a pair of types: how to read the field `f`, what to write for the value `v`.
macro_rules! wire {
    ($($field:ty => $value:ty: |$f:ident| $read:expr, |$v:ident| $write:expr;)+) => {$(
        impl Wire<$value> for $field {
            #[inline]
            fn read(&self) -> $value {
                let $f = *self;
                $read
            }

            #[inline]
            fn write(&mut self, $v: $value) {
                *self = $write;
            }
        }
    )+};
}

wire! {
    u8 => u8: |f| f, |v| v;
    u8 => IpProtocol: |f| IpProtocol(f), |v| v.0;
    U16 => u16: |f| f.get(), |v| U16::new(v);
    U16 => EtherType: |f| EtherType(f.get()), |v| U16::new(v.0);
    U16 => Tci: |f| Tci(f.get()), |v| U16::new(v.0);
    U32 => u32: |f| f.get(), |v| U32::new(v);
    U64 => u64: |f| f.get(), |v| U64::new(v);
    [u8; 3] => u32: |f| u32::from_be_bytes([0, f[0], f[1], f[2]]), |v| {
        let [_, a, b, c] = v.to_be_bytes();
        [a, b, c]
    };
    [u8; 4] => Ipv4Addr: |f| Ipv4Addr::from(f), |v| v.octets();
    [u8; 16] => Ipv6Addr: |f| Ipv6Addr::from(f), |v| v.octets();
    little_endian::U16 => u16: |f| f.get(), |v| little_endian::U16::new(v);
    little_endian::U32 => u32: |f| f.get(), |v| little_endian::U32::new(v);
    little_endian::U64 => u64: |f| f.get(), |v| little_endian::U64::new(v);
    MacAddr => MacAddr: |f| f, |v| v;
}
