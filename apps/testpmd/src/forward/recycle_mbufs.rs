//! `recycle_mbufs`: `io` on a DPDK that can hand the buffers a TX queue is done with straight to an RX
//! queue, 23.11 or later.
//!
//! A driver that offers no recycling forwards all the same, in the original as here; the buffers then
//! go through the pool.

use super::Refused;
use super::door::Door;
use iogate::eal::dpdk_release;
use iogate::prelude::*;

/// The first release that has it.
const SINCE: (u32, u32) = (23, 11);

/// As `io`.
pub(super) fn stage(door: Door) -> impl Stage {
    chain::<(), _>(door)
}

/// Whether there is such a mode.
pub(super) fn check() -> Result<(), Refused> {
    check_release(dpdk_release())
}

fn check_release(release: (u32, u32)) -> Result<(), Refused> {
    if release < SINCE { Err(Refused::NeedsDpdk { release: SINCE, ours: release }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::{Mode, testing::*};

    #[test]
    fn older_releases_have_none() {
        let refused = Refused::NeedsDpdk { release: (23, 11), ours: (22, 11) };
        assert_eq!(refused.to_string(), "it needs DPDK 23.11 or later, and this is 22.11");
        assert_eq!(check_release((22, 11)), Err(refused));
        assert_eq!(check_release((23, 7)), Err(Refused::NeedsDpdk { release: (23, 11), ours: (23, 7) }));
        assert_eq!((check_release((23, 11)), check_release((24, 11))), (Ok(()), Ok(())));
    }

    #[test]
    fn it_forwards_where_there_is_one() {
        match Rig::try_new(Mode::RecycleMbufs, &config()) {
            Ok(mut rig) => assert_eq!(rig.pass_all(&samples()), samples()),
            Err(refused) => assert_eq!(Err(refused), check()),
        }
    }
}
