//! EAL's cores are where its command line puts them.

use iogate::eal::Eal;
use iogate::worker::cores;

#[test]
fn an_lcore_is_on_the_core_that_it_was_given() {
    let last = cores().into_iter().next_back().unwrap();
    let arguments = ["lcores", "--no-huge", "-m", "64", "--no-pci", "--no-shconf", "--no-telemetry"].map(String::from);
    let places = [format!("--file-prefix=lcores-{}", std::process::id()), format!("--lcores=0@{last},1@{last}")];
    let eal = Eal::builder().verbatim(arguments.into_iter().chain(places)).start().unwrap();
    assert_eq!(eal.lcores().iter().map(|lcore| (lcore.id, lcore.core)).collect::<Vec<_>>(), [(0, last), (1, last)]);
}
