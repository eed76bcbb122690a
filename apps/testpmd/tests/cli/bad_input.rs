//! Whatever is typed: a clear answer, nothing ends, and forwarding goes on.

use crate::session::Session;
use std::time::{Duration, Instant};

/// The commands that `help` lists, as words and places.
fn commands(session: &mut Session) -> Vec<Vec<String>> {
    let help = session.run("help all");
    let lines: Vec<&str> = help.lines().collect();
    // A command, and indented below it what it does.
    let commands = lines.windows(2).filter(|pair| pair[1].starts_with("    ") && !pair[0].starts_with(' '));
    commands.map(|pair| pair[0].split(' ').map(str::to_owned).collect()).collect()
}

/// Something that could stand in a place.
fn plausible(place: &str) -> String {
    let Some(inside) = place.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else { return place.to_owned() };
    match inside {
        "mac" => "02:00:00:00:00:01".to_owned(),
        name if name.ends_with("_id|all") => "0".to_owned(),
        choice if choice.contains('|') => choice.split('|').next().unwrap_or_default().to_owned(),
        _ => "0".to_owned(),
    }
}

/// Packets that were forwarded so far.
fn forwarded(session: &mut Session) -> u64 {
    let stats = session.run("show fwd stats all");
    let sums = stats.split("Accumulated").nth(1).unwrap_or_else(|| panic!("{stats}"));
    let count = sums.split("RX-packets: ").nth(1).and_then(|rest| rest.split_whitespace().next());
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{stats}"))
}

fn still_forwards(session: &mut Session, after: &str) {
    let before = forwarded(session);
    let end = Instant::now() + Duration::from_secs(20);
    while forwarded(session) <= before {
        assert!(Instant::now() < end, "nothing is forwarded after {after}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Types a line of any bytes, and returns the answer.
fn typed(session: &mut Session, line: &[u8]) -> String {
    session.keys([line, b"\n"].concat());
    session.until("\r\r\n");
    session.until("testpmd> ").trim_end_matches("testpmd> ").to_owned()
}

/// Commands that end the program or last are not run as they stand.
fn lasts(line: &[String]) -> bool {
    ["quit", "stop", "sleep", "wait", "top"].contains(&line[0].as_str())
}

#[test]
fn every_command_refuses_what_it_cannot_take_and_forwarding_goes_on() {
    let mut session = Session::ready(&["net_ring0", "net_ring1"], &["--idle=sleep"]);
    let commands = commands(&mut session);
    assert!(commands.len() > 100, "{} commands", commands.len());
    session.run("start tx_first 1");
    let long = "x".repeat(200);
    for words in &commands {
        let line: Vec<String> = words.iter().map(|place| plausible(place)).collect();
        let whole = line.join(" ");
        let surplus = typed(&mut session, format!("{whole} surplus surplus").as_bytes());
        let takes_the_rest = ["(rule)", "(rules)"].contains(&words[words.len() - 1].as_str());
        assert!(takes_the_rest || surplus == "Bad arguments\r\n", "{whole} surplus: {surplus}");
        for count in (1..words.len()).filter(|count| !lasts(&line[..*count])) {
            typed(&mut session, line[..count].join(" ").as_bytes());
        }
        for at in (0..words.len()).filter(|at| words[*at].starts_with('(')) {
            let is_a_port = words[at].contains("port") || words[at].ends_with("_id|all)");
            let no_such_port: &[&[u8]] = if is_a_port { &[b"31", b"65535"] } else { &[] };
            let bad: [&[u8]; 5] = [b"-1", b"99999999999999999999", long.as_bytes(), b"0xzz", b"\xff\xfe"];
            for bad in bad.iter().chain(no_such_port) {
                let replaced = line.iter().enumerate().map(|(n, word)| if n == at { bad } else { word.as_bytes() });
                let line = replaced.collect::<Vec<_>>().join(&b' ');
                let answer = typed(&mut session, &line);
                let text = line.escape_ascii();
                assert!(!answer.contains("panicked"), "{text}: {answer}");
                assert!(!no_such_port.contains(bad) || !answer.is_empty(), "{text} is accepted");
                assert!(std::str::from_utf8(bad).is_ok() || answer == "Bad arguments\r\n", "{text}: {answer}");
            }
        }
        still_forwards(&mut session, &whole);
    }
    assert!(session.run("stop").contains("Accumulated forward statistics"));
    session.quit();
}
