//! How a line becomes a command: tokens against patterns.
//!
//! A pattern is words. `set` is itself, `on|off` one of several, `N:u16` a number that fits,
//! `port:ports` a number or `all`, `mac:mac` an address, `list:text` any word, `rest:rest` the rest
//! of the line.

use iogate::packet::MacAddr;

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotFound,
    BadArguments,
    Ambiguous,
}

impl Refusal {
    /// What the original says.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Refusal::NotFound => "Command not found",
            Refusal::BadArguments => "Bad arguments",
            Refusal::Ambiguous => "Ambiguous command",
        }
    }
}

/// One or all ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    One(u16),
}

/// What a line gave for the places of a pattern, by position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Word(String),
    Number(u64),
    Mac(MacAddr),
    Which(Which),
}

/// The values of a line, one for each word of the pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Values(Vec<Value>);

impl Values {
    /// The word at a position.
    pub(crate) fn word(&self, at: usize) -> &str {
        match self.0.get(at) {
            Some(Value::Word(word)) => word,
            _ => "",
        }
    }

    /// Whether the word at a position is `on`, `add`, `start`, `hw`, or whatever `yes` says.
    pub(crate) fn is(&self, at: usize, yes: &str) -> bool {
        self.word(at) == yes
    }

    /// The number at a position, which the pattern has checked.
    pub(crate) fn number(&self, at: usize) -> u64 {
        match self.0.get(at) {
            Some(Value::Number(number)) => *number,
            _ => 0,
        }
    }

    /// The 16-bit number at a position.
    pub(crate) fn u16(&self, at: usize) -> u16 {
        self.number(at).try_into().unwrap_or(u16::MAX)
    }

    /// The address at a position.
    pub(crate) fn mac(&self, at: usize) -> MacAddr {
        match self.0.get(at) {
            Some(Value::Mac(mac)) => *mac,
            _ => MacAddr::from([0; 6]),
        }
    }

    /// One or all ports.
    pub(crate) fn which(&self, at: usize) -> Which {
        match self.0.get(at) {
            Some(Value::Which(which)) => *which,
            _ => Which::All,
        }
    }
}

/// The tokens of a line: words between blanks, up to a `#` that begins one.
pub(crate) fn tokens(line: &str) -> Vec<&str> {
    line.split([' ', '\t', '\r']).filter(|word| !word.is_empty()).take_while(|word| !word.starts_with('#')).collect()
}

/// Matches tokens against a pattern.
pub(crate) fn fit(pattern: &str, tokens: &[&str]) -> Option<Values> {
    let mut values = Vec::new();
    let mut tokens = tokens.iter();
    for place in pattern.split(' ') {
        if place.ends_with(":rest") {
            let rest: Vec<&str> = tokens.by_ref().copied().collect();
            if rest.is_empty() {
                return None;
            }
            values.push(Value::Word(rest.join(" ")));
            continue;
        }
        values.push(value(place, tokens.next()?)?);
    }
    tokens.next().is_none().then_some(Values(values))
}

/// Whether the first word of a pattern is this one.
pub(crate) fn begins(pattern: &str, token: &str) -> bool {
    pattern.split(' ').next().is_some_and(|place| value(place, token).is_some())
}

fn value(place: &str, token: &str) -> Option<Value> {
    let word = || Value::Word(token.to_owned());
    let Some((_, kind)) = place.split_once(':') else {
        return place.split('|').any(|word| word == token).then(word);
    };
    let up_to = |most: u64| number(token).filter(|number| *number <= most).map(Value::Number);
    match kind {
        "u8" => up_to(u8::MAX.into()),
        "u16" => up_to(u16::MAX.into()),
        "u32" => up_to(u32::MAX.into()),
        "u64" => up_to(u64::MAX),
        "ports" if token == "all" => Some(Value::Which(Which::All)),
        "ports" => number(token)?.try_into().ok().map(|port| Value::Which(Which::One(port))),
        "mac" => token.parse().ok().map(Value::Mac),
        _ => Some(word()),
    }
}

/// A number as the original reads it: decimal, `0x`, `0b`, or octal after a 0.
pub(crate) fn number(text: &str) -> Option<u64> {
    let digits = |text: &str, radix| {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        u64::from_str_radix(text, radix).ok().filter(|_| plain)
    };
    match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => digits(&text[2..], 16),
        [b'0', b'b' | b'B', ..] => digits(&text[2..], 2),
        [b'0', _, ..] => digits(&text[1..], 8),
        _ => digits(text, 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pattern_fits_word_by_word() {
        let fits = |line: &str| fit("set promisc who:ports on|off", &tokens(line));
        let values = fits("  set promisc\tall on # as always").unwrap();
        assert_eq!((values.which(2), values.is(3, "on")), (Which::All, true));
        assert_eq!(fits("set promisc 3 off").unwrap().which(2), Which::One(3));
        for line in
            ["set promisc", "set promisc 0 maybe", "set promisc 65536 on", "set promisc -1 on", "set promisc 0 on on"]
        {
            assert_eq!(fits(line), None, "{line}");
        }
    }

    #[test]
    fn numbers_have_four_bases() {
        let all = [("0", Some(0)), ("32", Some(32)), ("0x1F", Some(31)), ("0b101", Some(5)), ("010", Some(8))];
        for (text, expected) in all {
            assert_eq!(number(text), expected, "{text}");
        }
        for text in ["", "-1", "+1", "1a", "0x", "09", "0x+1", "18446744073709551616", "1_0", "١"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn the_rest_of_a_line_is_one_value() {
        assert_eq!(
            fit("flow create port:u16 rule:rest", &tokens("flow create 0 ingress  end")).unwrap().word(3),
            "ingress end"
        );
        assert_eq!(fit("flow create port:u16 rule:rest", &tokens("flow create 0")), None);
    }

    proptest! {
        #[test]
        fn no_line_breaks_it(line in ".*") {
            let tokens = tokens(&line);
            for pattern in ["set a|b", "x:u8 y:ports", "m:mac", "r:rest"] {
                let _ = fit(pattern, &tokens);
            }
        }
    }
}
