//! DPDK's hash table, as the peer of the gateway's.

use anyhow::{Result, bail};
use std::ffi::c_void;
use std::ptr::NonNull;

/// Bytes of a key: scope, tag, address.
pub(crate) const KEY: usize = 12;
/// Keys looked up at a time.
pub(crate) const BURST: usize = 32;

/// A table from keys to numbers.
pub(crate) struct RteHash(NonNull<dpdk_sys::rte_hash>);

impl RteHash {
    /// Numbers each key by its position. EAL must be running.
    pub(crate) fn new(keys: &[[u8; KEY]]) -> Result<Self> {
        let parameters = dpdk_sys::rte_hash_parameters {
            name: c"iogate-bench".as_ptr(),
            // It works in buckets of eight and is not meant to be filled to the last.
            entries: (keys.len() * 2).next_power_of_two() as u32,
            key_len: KEY as u32,
            ..Default::default()
        };
        // SAFETY: the parameters are valid, their pointers too, and all is copied.
        let Some(table) = NonNull::new(unsafe { dpdk_sys::rte_hash_create(&parameters) }) else {
            bail!("rte_hash_create failed for {} entries", keys.len());
        };
        let table = RteHash(table);
        for (number, key) in keys.iter().enumerate() {
            // SAFETY: the key has KEY bytes, which are copied; the data is a number, never followed.
            let result = unsafe {
                dpdk_sys::rte_hash_add_key_data(table.0.as_ptr(), key.as_ptr().cast(), number as *mut c_void)
            };
            if result != 0 {
                bail!("rte_hash_add_key_data: {result} for entry {number}");
            }
        }
        Ok(table)
    }

    /// The sum of the numbers of these keys.
    pub(crate) fn sum(&self, keys: &[[u8; KEY]; BURST]) -> u64 {
        let mut pointers = keys.each_ref().map(|key| key.as_ptr().cast::<c_void>());
        let mut data = [std::ptr::null_mut::<c_void>(); BURST];
        let mut hits = 0_u64;
        // SAFETY: as many keys as are said, and room for as many answers.
        unsafe {
            dpdk_sys::rte_hash_lookup_bulk_data(
                self.0.as_ptr(),
                pointers.as_mut_ptr(),
                BURST as u32,
                &mut hits,
                data.as_mut_ptr(),
            )
        };
        let found = data.iter().enumerate().filter(|(at, _)| hits >> at & 1 == 1);
        found.map(|(_, number)| *number as u64).sum()
    }
}

impl Drop for RteHash {
    fn drop(&mut self) {
        // SAFETY: made by rte_hash_create and not used again.
        unsafe { dpdk_sys::rte_hash_free(self.0.as_ptr()) };
    }
}
