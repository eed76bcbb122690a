//! What the gateway is measured against, each as good as it gets: DPDK's testpmd is in
//! [`testpmd`](crate::testpmd), because other measurements use it too.

pub(crate) mod c;
#[cfg(test)]
mod same;
mod tables;
