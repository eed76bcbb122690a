//! What is left of EAL when every handle on it is gone.

use iogate::eal::{Eal, HugePages};

#[test]
fn a_packet_keeps_its_memory_also_from_the_end_of_eal() {
    let eal = Eal::builder().memory_mb(64).huge_pages(HugePages::Never).start().unwrap();
    let packet = {
        let pool = eal.pool("gone").buffers(64).create().unwrap();
        pool.alloc_from(&[5; 60]).unwrap()
    };
    drop(eal);
    assert_eq!(packet.data(), [5; 60]);
    let error = Eal::builder().start().unwrap_err().to_string();
    assert!(error.contains("started in this process already"), "{error}");
}
