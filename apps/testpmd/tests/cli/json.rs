//! Answers for programs.

use crate::session::Session;
use serde_json::Value;

/// Commands, the schema of the answer, and where in it a value is known.
const ALL: &[(&str, &str, &str, &str)] = &[
    ("show port info 0", "port-info", "/ports/0/name", "\"net_ring0\""),
    ("show port summary all", "port-summary", "/ports/1/port", "1"),
    ("show port stats all", "port-stats", "/ports/0/rates/rx_pps", "0"),
    ("show port xstats 0", "port-xstats", "/ports/0/xstats/rx_good_packets", "0"),
    ("show port 0 latency", "port-latency", "/packets", "0"),
    ("show port 0 macs", "port-macs", "/macs", "[]"),
    ("show port 0 mcast_macs", "port-mcast-macs", "/macs", "[]"),
    ("show port 0 rx_offload capabilities", "rx-offload-capabilities", "/per_queue", "[]"),
    ("show port 0 tx_offload capabilities", "tx-offload-capabilities", "/per_port", "[\"MULTI_SEGS\"]"),
    ("show port 0 rx_offload configuration", "rx-offload-configuration", "/queues", "[[]]"),
    ("show port 0 tx_offload configuration", "tx-offload-configuration", "/offloads", "[]"),
    ("show port 1 rss reta 128 (0x5,0)", "port-rss-reta", "/queues", "{\"0\":0,\"2\":0}"),
    ("show device info all", "device-info", "/devices/0/name", "\"net_ring0\""),
    ("show fwd stats all", "fwd-stats", "/mode", "\"io\""),
    ("show config fwd", "config-fwd", "/cores/0/streams/1/tx_port", "0"),
    ("show config rxtx", "config-rxtx", "/ports/0/rx_queues/0/descriptors", "0"),
    ("show config cores", "config-cores", "/lcores", "[1]"),
    ("show config txpkts", "config-txpkts", "/segments", "[64]"),
    ("show config rxpkts", "config-rxpkts", "/rxpkts", "[]"),
    ("show config rxoffs", "config-rxoffs", "/rxoffs", "[]"),
];

#[test]
fn every_show_answers_with_one_object_that_is_documented() {
    let documented = include_str!("../../JSON.md");
    let mut session = Session::ready(&["net_ring0", "net_null1"], &["--output=json", "--soft-offloads=off"]);
    for (command, topic, place, expected) in ALL {
        let answer = session.run(command);
        let json: Value = serde_json::from_str(answer.trim()).unwrap_or_else(|_| panic!("{command}: {answer}"));
        assert_eq!(json["schema"], format!("iogate-testpmd/{topic}/1"), "{command}");
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(json.pointer(place), Some(&expected), "{command}: {json}");
        assert!(documented.contains(&format!("`{topic}/1`")), "{topic} is not in JSON.md");
    }
    // What a ring has not: the error is a text, and no object.
    for command in ["show port 0 flow_ctrl", "show rxq info 0 0", "show port 0 rss-hash", "show port 9 macs"] {
        let answer = session.run(command);
        assert!(!answer.is_empty() && !answer.contains('{'), "{command}: {answer}");
    }
    session.run("port stop all");
    let answer = session.run("csum show 0");
    let json: Value = serde_json::from_str(answer.trim()).unwrap();
    assert_eq!((&json["schema"], &json["outer-ip"]), (&"iogate-testpmd/csum/1".into(), &"sw".into()));
    session.quit();
}
