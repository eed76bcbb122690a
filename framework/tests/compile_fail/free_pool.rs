//! A pool cannot be freed before its ports: handles go, and the last one frees it. A port keeps one
//! to itself, which cannot be taken out.

use iogate::prelude::*;

fn free(pool: MbufPool, port: Port) {
    pool.free();
    drop(port.inner.pool);
}

fn main() {}
