//! What is read, what is refused and where, and that nothing panics.

use super::*;
use proptest::prelude::*;

fn problems(text: &str) -> String {
    Template::parse(text, "t.toml").map(|_| ()).unwrap_err().to_string()
}

fn stream(lines: &str) -> String {
    format!("[[stream]]\n{lines}\n")
}

#[test]
fn both_forms_of_a_frame_are_the_same() {
    let line = Template::line("ethernet,src=02:00:00:00:00:09/ipv4,ttl=9/udp,dst_port=53|80", "64..66").unwrap();
    let toml = Template::parse(
        &stream(
            "size = [64, 65, 66]\nframe = [{ header = \"ethernet\", src = \"02:00:00:00:00:09\" }, { header = \"ipv4\", ttl = 9 }, \
             { header = \"udp\", dst_port = [53, 80] }]",
        ),
        "t.toml",
    )
    .unwrap();
    let frames = |template: &Template| {
        let mut traffic = Prepared::new(template).unwrap().worker(0, 1);
        let mut next = |time| {
            let chosen = traffic.choose();
            let mut frame = vec![0; chosen.len()];
            traffic.write(chosen, &mut frame, time);
            frame
        };
        (0..12).map(&mut next).collect::<Vec<_>>()
    };
    assert_eq!(frames(&line), frames(&toml));
}

#[test]
fn the_seed_decides_what_is_random() {
    let first = |seed: u64| {
        let mut template = Template::line("ethernet/ipv4,src=random/udp,src_port=random", "64").unwrap();
        template.seed = seed;
        let mut traffic = Prepared::new(&template).unwrap().worker(0, 1);
        let mut frame = [0; 60];
        let chosen = traffic.choose();
        traffic.write(chosen, &mut frame, 0);
        frame
    };
    assert_eq!(first(7), first(7));
    assert_ne!(first(7), first(8));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, said) in [
        ("", "t.toml:1:1: there is no [[stream]]; add one"),
        ("stream = []", "there are 0 streams; use 1 to 256"),
        ("stream = 5", "write [[stream]]"),
        ("[[stream]", "t.toml:1:"),
        (&stream("name = 5"), "t.toml:2:8: stream \"stream 1\": name must be a text in quotes"),
        (&stream(""), "there is no frame; write frame = \"ethernet/ipv4/udp\""),
        (&stream("frame = \"\""), "t.toml:2:10: unknown header \"\""),
        (&stream("frame = []"), "there is no header; begin with ethernet"),
        (&stream("frame = \"ipv4\""), "t.toml:2:10: ipv4 cannot be the first header; put it behind ethernet"),
        (&stream("frame = \"ethernet/ipv4/fcoe\""), "fcoe cannot stand behind ipv4; put it behind ethernet or vlan"),
        (&stream("frame = \"ethernet,x\""), "t.toml:2:19: \"x\" must be FIELD=VALUE"),
        (&stream("frame = \"ethernet/ipv4,dscp=1,tos=2\""), "ipv4: tos is a part of dscp, or the other way round"),
        (&stream("frame = \"ethernet/ipv4,ttl=1,ttl=2\""), "ipv4: ttl is set twice"),
        (&stream("frame = \"ethernet/raw,hex=0\""), "raw: hex = \"0\" must be pairs of hexadecimal digits"),
        (&stream("frame = \"ethernet/ipv4/udp\"\nshare = 0"), "share must be 1 to 1000"),
        (&stream("frame = \"ethernet/ipv4/udp\"\nstamp = 1"), "stamp must be true or false"),
        (&stream("frame = \"ethernet/ipv4/udp\"\npayload = \"hex:0\""), "hex: must be followed by pairs"),
        (&stream("frame = \"ethernet/ipv4/tcp\"\nstamp = true"), "use a size of 74 or more, or stamp = false"),
        (&stream("frame = [5]"), "a header must be a table"),
        (&stream("frame = [{ header = \"ethernet\", src = [] }]"), "ethernet: src is an empty list"),
        (&stream("frame = [{ header = \"ethernet\", src = 1.5 }]"), "src must be a number, a text or a list"),
        (
            &stream("name = \"a\"\nframe = \"ethernet\"").repeat(2),
            "t.toml:4:1: there are two streams \"a\"; rename one",
        ),
    ] {
        let found = problems(text);
        assert!(found.contains(said), "{text}\n{found}");
    }
    let huge = stream("frame = \"ethernet\"\nsize = \"64..9018\"").repeat(40);
    let error = Prepared::new(&Template::parse(&huge, "t.toml").unwrap()).unwrap_err();
    assert!(error.contains("1024 are the most; use fewer sizes"), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_a_problem() {
    let problems = Template::load(Path::new("/nonexistent/t.toml")).unwrap_err().to_string();
    assert!(problems.starts_with("/nonexistent/t.toml: cannot be read: "), "{problems}");
}

proptest! {
    #[test]
    fn reading_is_total(at in 0..STORAGE_MIX.len(), with in "[ ={}/,|.:@+\\[\\]\"a-z0-9]{0,4}") {
        let mut text = STORAGE_MIX.to_owned();
        text.replace_range(at..=at, &with);
        if let Ok(template) = Template::parse(&text, "t.toml") {
            let mut traffic = Prepared::new(&template).expect("what was read fits").worker(2, 3);
            for _ in 0..30 {
                let chosen = traffic.choose();
                traffic.write(chosen, &mut vec![0; chosen.len()], 1);
            }
        }
    }

    #[test]
    fn reading_a_line_is_total(text in "(ethernet|ipv4|udp|raw|vlan|[a-z,=/|.:0-9]{0,6}){0,8}") {
        let _ = Template::line(&text, "64");
    }
}
