//! Makes the `sys`, `proc` and `dev` of a machine with SR-IOV cards in a folder, to look at with
//! `iogate vf list --sysfs-root FOLDER` and to plan on.
//!
//! ```sh
//! cargo run -p iogate --features testkit --example fake-sriov-host -- /tmp/host 82599 x710
//! ```
#![forbid(unsafe_code)]

use clap::Parser;
use iogate::testkit::{Card, FakeHost};
use std::path::PathBuf;

#[derive(Parser)]
struct Options {
    /// The folder; made when it is not there
    folder: PathBuf,
    /// The cards, two ports each
    #[arg(required = true)]
    cards: Vec<Card>,
    /// How many VFs the first port of each has
    #[arg(long, default_value_t = 0)]
    vfs: u16,
}

fn main() {
    let options = Options::parse();
    let fake = FakeHost::create(&options.folder, &options.cards);
    for card in options.cards {
        fake.set_num_vfs(card.pfs()[0], options.vfs);
    }
}
