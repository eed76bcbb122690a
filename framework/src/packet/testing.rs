//! Properties that every parser has to have.

use super::Header;
use core::fmt::Debug;

/// Parses `bytes` in every way and calls every accessor of what comes out.
pub(super) fn exercise<H: Header + Debug + ?Sized>(bytes: &[u8]) {
    let whole = H::parse(bytes).map(|(header, payload)| {
        let shown = format!("{header:?}");
        assert!(header.as_bytes().len() + payload.len() <= bytes.len());
        (shown, payload.len())
    });
    let front = H::parse_front(bytes);
    if let Ok((header, payload)) = front {
        assert!(header.as_bytes().len() + payload.len() <= bytes.len());
    }
    assert!(whole.is_err() || front.is_ok(), "a whole packet has a front");

    let mut copy = bytes.to_vec();
    let again = H::parse_mut(&mut copy).map(|(header, payload)| (format!("{header:?}"), payload.len()));
    assert_eq!(whole, again, "both ways of parsing agree");
    if H::place(&mut copy).is_ok() {
        assert!(H::parse(&copy).is_ok(), "what was placed parses");
    }
}

/// Parses every truncation of a valid header.
pub(super) fn truncations<H: Header + Debug + ?Sized>(valid: &[u8]) {
    H::parse(valid).expect("the sample is valid");
    for len in 0..valid.len() {
        exercise::<H>(&valid[..len]);
    }
    for len in 0..H::BLANK.len() {
        H::parse(&valid[..len]).expect_err("a short header is refused");
    }
}

/// Makes a test module of the properties of one header: `properties!(module, Header, valid bytes)`.
macro_rules! properties {
    ($module:ident, $header:ty, $valid:expr) => {
        mod $module {
            use super::*;

            #[test]
            fn truncations_stay_in_bounds() {
                $crate::packet::testing::truncations::<$header>(&$valid);
            }

            proptest! {
                #[test]
                fn total_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
                    $crate::packet::testing::exercise::<$header>(&bytes);
                }

                #[test]
                fn total_on_bent_headers(
                    bends in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
                    cut in any::<proptest::sample::Index>(),
                ) {
                    let mut bytes = $valid.to_vec();
                    for (at, value) in bends {
                        let at = at.index(bytes.len());
                        bytes[at] = value;
                    }
                    $crate::packet::testing::exercise::<$header>(&bytes);
                    $crate::packet::testing::exercise::<$header>(&bytes[..cut.index(bytes.len())]);
                }
            }
        }
    };
}

/// Sets every field, then reads all of them back, so that fields that overlap are found too.
macro_rules! reads_back {
    ($header:expr; $($get:ident, $set:ident = $value:expr;)+) => {{
        $($header.$set($value);)+
        $(proptest::prop_assert_eq!($header.$get(), $value);)+
    }};
}
