//! DPDK's names and numbers of ports.

use std::ffi::{CStr, CString, c_char};

pub(super) fn id_by_name(name: &str) -> Option<u16> {
    let name = CString::new(name).ok()?;
    let mut id = 0;
    // SAFETY: a C string and room for one number.
    let result = unsafe { dpdk_sys::rte_eth_dev_get_port_by_name(name.as_ptr(), &mut id) };
    (result == 0).then_some(id)
}

pub(super) fn name_by_id(id: u16) -> Option<String> {
    let mut name = [0 as c_char; 256];
    // SAFETY: DPDK's names have 64 bytes at most, and there is room for more.
    let result = unsafe { dpdk_sys::rte_eth_dev_get_name_by_port(id, name.as_mut_ptr()) };
    // SAFETY: on success a C string.
    (result == 0).then(|| unsafe { text(name.as_ptr()) })
}

/// How many ports there are of a device.
pub(super) fn ports_of(device: *const dpdk_sys::rte_device) -> usize {
    // SAFETY: walks the numbers of the ports there are.
    let next = |from: u16| unsafe { dpdk_sys::rte_eth_find_next(from) };
    let (mut count, mut id) = (0, next(0));
    while u32::from(id) < dpdk_sys::RTE_MAX_ETHPORTS {
        let mut raw = dpdk_sys::rte_eth_dev_info::default();
        // SAFETY: the port exists, and the call fills the structure.
        let result = unsafe { dpdk_sys::rte_eth_dev_info_get(id, &mut raw) };
        count += usize::from(result == 0 && std::ptr::eq(raw.device, device));
        id = next(id + 1);
    }
    count
}

/// What a device says a packet is (`RTE_PTYPE_*`), one layer: "L3_IPV4".
pub fn ptype_name(ptype: u32) -> String {
    let mut name = [0 as c_char; 256];
    // SAFETY: room for as many bytes as is said.
    let result = unsafe { dpdk_sys::rte_get_ptype_name(ptype, name.as_mut_ptr(), name.len()) };
    // SAFETY: on success a C string.
    if result == 0 { unsafe { text(name.as_ptr()) } } else { String::new() }
}

/// A text of DPDK's, empty when there is none.
///
/// # Safety
/// `text` is null or a C string.
pub(super) unsafe fn text(text: *const c_char) -> String {
    match text.is_null() {
        true => String::new(),
        // SAFETY: as the caller says.
        false => unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned(),
    }
}
