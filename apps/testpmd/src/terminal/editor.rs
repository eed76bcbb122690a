//! One line being typed: plain echo, editing keys, history.
//!
//! Characters are echoed as they come, and the terminal wraps long lines by itself, so that what
//! goes over the wire is what was typed.

/// Longest line, bytes.
pub(crate) const LINE_MAX: usize = 2048;
/// Lines remembered.
const HISTORY: usize = 200;

pub(super) const CTRL_C: u8 = 3;

/// What a key led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Nothing but an echo.
    None,
    /// A finished line.
    Line(Vec<u8>),
    /// ^C: the line is forgotten.
    Cancel,
    /// ^D on an empty line.
    End,
    /// TAB or `?`: what could stand here?
    Complete,
    /// ^L: the screen is to be cleared, and the prompt shown again.
    Redraw,
}

/// The line editor.
#[derive(Debug, Default)]
pub(crate) struct Editor {
    line: Vec<u8>,
    cursor: usize,
    escape: Vec<u8>,
    cut: Vec<u8>,
    history: Vec<Vec<u8>>,
    /// How far back in history; 0: the line being typed.
    back: usize,
    kept: Vec<u8>,
    echo: Vec<u8>,
}

impl Editor {
    /// What is to be echoed since the last call.
    pub(crate) fn take_echo(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.echo)
    }

    /// The line up to the cursor.
    pub(crate) fn before_cursor(&self) -> &[u8] {
        &self.line[..self.cursor]
    }

    /// Whether the cursor is at the end.
    pub(crate) fn at_end(&self) -> bool {
        self.cursor == self.line.len()
    }

    /// Shows the whole line again, behind a new prompt.
    pub(crate) fn show_again(&mut self) {
        self.echo.extend_from_slice(&self.line);
        self.left_echo(self.line.len() - self.cursor);
    }

    /// Types text.
    pub(crate) fn insert(&mut self, text: &[u8]) {
        for byte in text {
            if self.line.len() >= LINE_MAX - 1 {
                return;
            }
            self.line.insert(self.cursor, *byte);
            self.cursor += 1;
            self.echo.push(*byte);
            self.show_rest(0);
        }
    }

    /// Takes one byte.
    pub(crate) fn key(&mut self, byte: u8) -> Event {
        if !self.escape.is_empty() {
            self.escape.push(byte);
            return self.escape_key();
        }
        match byte {
            b'\r' | b'\n' => return self.enter(),
            CTRL_C => {
                self.echo.extend_from_slice(b"\r\n");
                self.clear();
                return Event::Cancel;
            }
            4 if self.line.is_empty() => return Event::End,
            b'\t' | b'?' => return Event::Complete,
            12 => return Event::Redraw,
            1 => self.go(0),
            2 => self.go(self.cursor.saturating_sub(1)),
            4 => self.remove(self.cursor, self.cursor + 1),
            5 => self.go(self.line.len()),
            6 => self.go(self.cursor + 1),
            8 | 127 => self.remove(self.cursor.saturating_sub(1), self.cursor),
            11 => self.cut(self.cursor, self.line.len()),
            14 => self.recall(self.back.saturating_sub(1)),
            16 => self.recall(self.back + 1),
            21 => self.cut(0, self.cursor),
            23 => self.cut(self.word_start(), self.cursor),
            25 => self.insert(&self.cut.clone()),
            27 => self.escape.push(byte),
            // What is no text is no key either. Bytes of UTF-8 pass, the parser will refuse them.
            0..32 => {}
            _ => self.insert(&[byte]),
        }
        Event::None
    }

    /// The end of input: what was typed is a line, if it is not empty.
    pub(crate) fn end(&mut self) -> Event {
        if self.line.is_empty() { Event::End } else { self.enter() }
    }

    fn enter(&mut self) -> Event {
        self.go(self.line.len());
        self.echo.extend_from_slice(b"\r\n");
        let line = std::mem::take(&mut self.line);
        self.clear();
        if !line.is_empty() && self.history.last() != Some(&line) {
            if self.history.len() == HISTORY {
                self.history.remove(0);
            }
            self.history.push(line.clone());
        }
        Event::Line(line)
    }

    fn clear(&mut self) {
        self.line.clear();
        self.escape.clear();
        (self.cursor, self.back) = (0, 0);
    }

    fn escape_key(&mut self) -> Event {
        match self.escape[..] {
            // Begins that are not over yet.
            [_, b'[' | b'O'] | [_, b'[', .., b'0'..=b'9' | b';'] if self.escape.len() < 8 => return Event::None,
            [_, b'[' | b'O', b'A'] => self.recall(self.back + 1),
            [_, b'[' | b'O', b'B'] => self.recall(self.back.saturating_sub(1)),
            [_, b'[' | b'O', b'C'] => self.go(self.cursor + 1),
            [_, b'[' | b'O', b'D'] => self.go(self.cursor.saturating_sub(1)),
            [_, b'[' | b'O', b'H'] | [_, b'[', b'1', b'~'] => self.go(0),
            [_, b'[' | b'O', b'F'] | [_, b'[', b'4', b'~'] => self.go(self.line.len()),
            [_, b'[', b'3', b'~'] => self.remove(self.cursor, self.cursor + 1),
            [_, b'b'] => self.go(self.word_start()),
            [_, b'f'] => self.go(self.word_end()),
            [_, b'd'] => self.cut(self.cursor, self.word_end()),
            [_, 8 | 127] => self.cut(self.word_start(), self.cursor),
            _ => {}
        }
        self.escape.clear();
        Event::None
    }

    fn go(&mut self, to: usize) {
        let to = to.min(self.line.len());
        if to < self.cursor {
            self.left_echo(self.cursor - to);
        } else {
            self.echo.extend_from_slice(&self.line[self.cursor..to]);
        }
        self.cursor = to;
    }

    fn remove(&mut self, from: usize, to: usize) {
        let to = to.min(self.line.len());
        self.go(from);
        if from < to {
            self.line.drain(from..to);
            self.show_rest(to - from);
        }
    }

    fn cut(&mut self, from: usize, to: usize) {
        if from < to {
            self.cut = self.line[from..to].to_vec();
            self.remove(from, to);
        }
    }

    fn recall(&mut self, back: usize) {
        if back > self.history.len() || back == self.back {
            return;
        }
        if self.back == 0 {
            self.kept = self.line.clone();
        }
        let line = if back == 0 { self.kept.clone() } else { self.history[self.history.len() - back].clone() };
        self.remove(0, self.line.len());
        self.insert(&line);
        self.back = back;
    }

    fn word_start(&self) -> usize {
        let before = &self.line[..self.cursor];
        let end = before.iter().rposition(|byte| *byte != b' ').map_or(0, |at| at + 1);
        before[..end].iter().rposition(|byte| *byte == b' ').map_or(0, |at| at + 1)
    }

    fn word_end(&self) -> usize {
        let after = &self.line[self.cursor..];
        let begin = after.iter().position(|byte| *byte != b' ').unwrap_or(after.len());
        self.cursor + after[begin..].iter().position(|byte| *byte == b' ').map_or(after.len(), |at| begin + at)
    }

    /// Writes what is behind the cursor, blanks out what was there before, and goes back.
    fn show_rest(&mut self, shorter: usize) {
        let rest = &self.line[self.cursor..];
        let back = rest.len() + shorter;
        self.echo.extend_from_slice(rest);
        self.echo.extend(std::iter::repeat_n(b' ', shorter));
        self.left_echo(back);
    }

    fn left_echo(&mut self, columns: usize) {
        self.echo.extend(std::iter::repeat_n(8, columns));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The lines that keys give.
    fn lines(keys: &[u8]) -> Vec<String> {
        let mut editor = Editor::default();
        let mut lines = Vec::new();
        for byte in keys {
            if let Event::Line(line) = editor.key(*byte) {
                lines.push(String::from_utf8_lossy(&line).into_owned());
            }
        }
        lines
    }

    #[test]
    fn plain_text_is_echoed_as_it_is() {
        let mut editor = Editor::default();
        let text = "flow create 0 ingress pattern eth / ipv4 / end actions drop / end".repeat(6);
        text.bytes().for_each(|byte| assert_eq!(editor.key(byte), Event::None));
        assert_eq!(editor.take_echo(), text.as_bytes());
        assert_eq!(editor.key(b'\n'), Event::Line(text.into_bytes()));
        assert_eq!(editor.take_echo(), b"\r\n");
    }

    #[test]
    fn keys_edit_the_line() {
        let all: [(&[u8], &str); 12] = [
            (b"strt\x02\x02a\n", "start"),
            (b"xstart\x01\x04\n", "start"),
            (b"tart\x01s\x05!\n", "start!"),
            (b"starttt\x7f\x08\n", "start"),
            (b"start junk\x17\n", "start "),
            (b"start junk\x02\x02\x02\x02\x0b\n", "start "),
            (b"start\x01\x0b\x19\x19\n", "startstart"),
            (b"junk start\x01\x1bd\n", " start"),
            (b"start junk\x1b\x7f\n", "start "),
            (b"strt\x1b[D\x1b[Da\x1b[C\x1b[C!\n", "start!"),
            (b"start\x1b[3~\x1b[1~\x1b[3~\n", "tart"),
            (b"a\x06\x06b\x1b[9;5Rc\n", "abc"),
        ];
        for (keys, line) in all {
            assert_eq!(lines(keys), [line], "{}", keys.escape_ascii());
        }
    }

    #[test]
    fn history_goes_both_ways() {
        assert_eq!(lines(b"one\ntwo\n\x1b[A\n"), ["one", "two", "two"]);
        assert_eq!(lines(b"one\ntwo\n\x1b[A\x1b[A\n"), ["one", "two", "one"]);
        assert_eq!(lines(b"one\ntwo\nthr\x1b[A\x1b[A\x1b[B\x1b[Bee\n"), ["one", "two", "three"]);
    }

    #[test]
    fn control_c_forgets_and_control_d_ends() {
        let mut editor = Editor::default();
        b"junk".iter().for_each(|byte| drop(editor.key(*byte)));
        assert_eq!(editor.key(4), Event::None, "the line is not empty");
        assert_eq!(editor.key(3), Event::Cancel);
        assert_eq!(editor.key(4), Event::End);
    }

    #[test]
    fn a_line_has_an_end() {
        let typed = "x".repeat(5000) + "\n";
        assert_eq!(lines(typed.as_bytes())[0].len(), LINE_MAX - 1);
    }

    proptest! {
        /// After any keys, what was echoed leaves the terminal showing the line, cursor and all.
        #[test]
        fn the_echo_shows_the_line(keys in proptest::collection::vec(prop_oneof![
            3 => 32_u8..63, 3 => 64_u8..127, 2 => 0_u8..32, 1 => Just(127)], 0..80)) {
            let mut editor = Editor::default();
            let (mut shown, mut at) = (Vec::new(), 0);
            for byte in keys {
                let event = editor.key(byte);
                for out in editor.take_echo() {
                    match out {
                        8 => at -= 1,
                        _ => {
                            if at == shown.len() { shown.push(out) } else { shown[at] = out }
                            at += 1;
                        }
                    }
                }
                if matches!(event, Event::Line(_) | Event::Cancel) {
                    (shown, at) = (Vec::new(), 0);
                }
                prop_assert_eq!(at, editor.cursor);
                let visible: Vec<u8> = shown.clone();
                let trimmed = |text: &[u8]| String::from_utf8_lossy(text).trim_end().to_owned();
                prop_assert_eq!(trimmed(&visible), trimmed(&editor.line));
            }
        }
    }
}
