//! Hashes that devices compute, for software that does a device's work: DPDK's own functions.

/// The Toeplitz hash that packets are spread over queues by, over 32-bit words of a packet's fields in the order
/// that they have there: addresses, then ports.
///
/// ```
/// // The first of the vectors that Microsoft publishes for its key.
/// let key = [
///     0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca,
///     0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b,
///     0xbe, 0xac, 0x01, 0xfa,
/// ];
/// let addresses = [u32::from_be_bytes([66, 9, 149, 187]), u32::from_be_bytes([161, 142, 100, 80])];
/// assert_eq!(iogate::port::toeplitz(&key, &addresses), 0x323e8fc2);
/// ```
///
/// # Panics
/// When the key has not 4 bytes more than the words.
#[inline]
pub fn toeplitz(key: &[u8], words: &[u32]) -> u32 {
    assert!(key.len() >= (words.len() + 1) * 4, "a key of {} bytes for {} words", key.len(), words.len());
    // SAFETY: reads as many words as are there, and one more 32-bit word of the key, as checked.
    unsafe { dpdk_sys::shim_toeplitz(words.as_ptr(), words.len() as u32, key.as_ptr()) }
}

/// CRC-32C (RFC 9260, appendix A) of bytes in parts, which SCTP has for a checksum and iSCSI for a digest.
///
/// ```
/// assert_eq!(iogate::port::crc32c([&b"12345"[..], b"6789"]), 0xe306_9283);
/// ```
#[inline]
pub fn crc32c<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    // SAFETY: reads as many bytes as are there.
    let add = |crc, part: &[u8]| unsafe { dpdk_sys::shim_crc32c(part.as_ptr(), part.len() as u32, crc) };
    !parts.into_iter().fold(u32::MAX, add)
}
