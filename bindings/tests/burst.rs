//! Bursts go through the callbacks of a queue while it has some.

#![allow(unsafe_code, reason = "a test of the bindings themselves")]

use dpdk_sys::*;
use std::ffi::{CString, c_char, c_void};
use std::ptr::{null, null_mut};

const BURST: usize = 8;

unsafe extern "C" fn seen(_: u16, _: u16, _: *mut *mut rte_mbuf, count: u16, _: u16, sum: *mut c_void) -> u16 {
    // SAFETY: it was added with a `u32` that outlives it.
    unsafe { *sum.cast::<u32>() += u32::from(count) };
    count
}

/// Lets one packet fewer go, and frees it.
unsafe extern "C" fn one_fewer(_: u16, _: u16, mbufs: *mut *mut rte_mbuf, count: u16, _: *mut c_void) -> u16 {
    // SAFETY: there are `count` packets, at least one, and the last is not sent.
    unsafe { shim_free(*mbufs.add(usize::from(count) - 1)) };
    count - 1
}

#[test]
fn callbacks_see_bursts() {
    let arguments = ["burst", "--no-huge", "-m", "64", "--no-pci", "--no-shconf", "--no-telemetry", "--vdev=net_null0"];
    let arguments = arguments.map(|argument| CString::new(argument).unwrap());
    let mut argv: Vec<*mut c_char> = arguments.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
    // SAFETY: all in the order that DPDK wants: EAL, a pool, a port with a queue each way, which this thread alone uses; only
    // while it is stopped is it asked again.
    unsafe {
        assert!(rte_eal_init(argv.len() as i32, argv.as_mut_ptr()) >= 0);
        let pool = shim_pool_create(c"burst".as_ptr(), 64, 0, 2048, 0);
        assert!(!pool.is_null());
        assert_eq!(rte_eth_dev_configure(0, 1, 1, &rte_eth_conf::default()), 0);
        assert_eq!(rte_eth_rx_queue_setup(0, 0, 64, 0, null(), pool), 0);
        assert_eq!(rte_eth_tx_queue_setup(0, 0, 64, 0, null()), 0);
        assert_eq!(rte_eth_dev_start(0), 0);

        let mut mbufs = [null_mut(); BURST];
        let mut round = || {
            let received = rte_eth_rx_burst(0, 0, mbufs.as_mut_ptr(), BURST as u16);
            (received, rte_eth_tx_burst(0, 0, mbufs.as_mut_ptr(), received))
        };
        assert_eq!(round(), (8, 8));
        let mut sum = 0_u32;
        let rx = rte_eth_add_rx_callback(0, 0, Some(seen), (&raw mut sum).cast());
        assert_eq!((round(), sum), ((8, 8), 8));
        let tx = rte_eth_add_tx_callback(0, 0, Some(one_fewer), null_mut());
        assert_eq!((round(), sum), ((8, 7), 16));
        assert_eq!((rte_eth_remove_rx_callback(0, 0, rx), rte_eth_remove_tx_callback(0, 0, tx)), (0, 0));
        assert_eq!((round(), sum), ((8, 8), 16));

        assert_eq!(rte_eth_dev_stop(0), 0);
        assert_eq!((round(), rte_mempool_avail_count(pool)), ((0, 0), 64), "a stopped port's functions do nothing");
        assert_eq!(rte_eth_dev_close(0), 0);
        rte_mempool_free(pool);
        assert_eq!(rte_eal_cleanup(), 0);
    }
}
