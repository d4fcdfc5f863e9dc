//! What people say to one another, a line of JSON each: messages for runs with compression, whose ratio is to say something.
//!
//! Names, words and rooms come as often as they do where people talk, few often and most seldom; ids, times and keys are
//! different in every line. Words are drawn, so sentences mean nothing, and no phrase comes back as phrases do: real chats
//! compress rather better.

/// The least that a line has room for.
pub const SIZE_MIN: usize = 256;
/// Where a line has ten bytes for its sender's mark, in place of these.
pub const MARK_AT: usize = 7;
const MARK: &str = "~~00000000";
/// Bytes of lines that are kept, unless one is longer.
const POOL_BYTES: usize = 1 << 20;

const FIRST: &str = "Anna Ben Carla Dmitri Emre Fatima Giulia Hannes Ines Jonas Kofi Lena Mei Nils Olga Pavel Quentin Rosa \
    Sofía Tomasz Uma Viktor Wanda Zoë";
const LAST: &str = "Keller Okafor Rossi Novak Schmidt Yilmaz García Lindqvist Tanaka Müller Kowalska Haddad Ivanova Baker \
    Costa Dubois";
/// The most frequent first.
const WORDS: &str = "the to and a of is in it you that for on we be this have with I not are can was will just at so if \
    me my but do as what all no they from there now get up one out know like about when or go good yes see see need \
    how time some today then by think an here thanks back still more work tomorrow please has had let him her their \
    well only could would should new first again next make sure sounds great later done meeting check right sorry \
    where who why way day week send sent mail call look looking wait maybe really where long after before also any \
    been come ok okay hello hi morning lunch office room train home team build test deploy server release customer \
    ticket invoice issue number report slides photo link file version branch merge review budget contract delivery \
    order status update schedule question answer idea problem plan change draft final project account password \
    screen keyboard coffee weather weekend holiday birthday bicycle airport hotel station platform minute hour \
    Monday Tuesday Wednesday Thursday Friday Berlin Lisbon Kraków Zürich 10:30 14:00 3 12 250 €40 v2.4 #1187 :-) 👍 🎉 😅 \
    finally actually probably definitely already almost quickly carefully together everybody something nothing \
    approve cancel confirm forward explain remember forget prepare compare measure publish restore migrate";

/// Lines of one length.
#[derive(Clone, Debug)]
pub struct Chatter {
    lines: Vec<u8>,
    size: usize,
}

impl Chatter {
    /// Lines of `size` bytes, the same in every run; `size >= SIZE_MIN`.
    pub fn new(size: usize) -> Chatter {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
        let lists = [FIRST, LAST, WORDS].map(|list| list.split_ascii_whitespace().collect());
        let count = (POOL_BYTES / size).max(1);
        let mut lines = Vec::with_capacity(count * size);
        for _ in 0..count {
            lines.extend_from_slice(&line(size, &lists, &mut dice));
        }
        Chatter { lines, size }
    }

    /// The line for a number, whatever it is.
    pub fn line(&self, number: u64) -> &[u8] {
        let count = self.lines.len() / self.size;
        let pick = (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize % count;
        &self.lines[pick * self.size..][..self.size]
    }
}

fn line(size: usize, [first, last, words]: &[Vec<&str>; 3], dice: &mut Dice) -> Vec<u8> {
    let (first, last) = (first[dice.seldom(first.len())], last[dice.seldom(last.len())]);
    let avatar = dice.bits() & 0xffff_ffff;
    let at = 1_795_209_544_352 + dice.below(86_400_000) as u64;
    let key = dice.bits();
    let head = format!(
        r#"{{"id":"{MARK}","by":{{"name":"{first} {last}","avatar":"/u/{avatar:08x}.png"}},"text":""#
    );
    let tail = format!(r#"","at":{at},"re":"{key:016x}","seen":{}}}"#, dice.below(40));
    let mut line = head.into_bytes();
    let end = size.saturating_sub(tail.len());
    let mut sentence = 0;
    while line.len() < end {
        let word = words[dice.seldom(words.len())];
        // The last one fills what is left.
        if line.len() + word.len() + 4 > end {
            line.resize(end, b'.');
            break;
        }
        line.extend_from_slice(word.as_bytes());
        sentence += 1;
        let stops = sentence > 3 && dice.below(8) == 0;
        line.extend_from_slice(if stops { [". ", "! ", "? ", ", "][dice.below(4)] } else { " " }.as_bytes());
        sentence = if stops { 0 } else { sentence };
    }
    line.extend_from_slice(tail.as_bytes());
    line
}

/// Xorshift: the same every time.
struct Dice(u64);

impl Dice {
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, sides: usize) -> usize {
        (self.bits() >> 16) as usize % sides
    }

    /// The first sides often, the last seldom.
    fn seldom(&mut self, sides: usize) -> usize {
        let share = (self.bits() >> 40) as f64 / (1u64 << 24) as f64;
        (share * share * sides as f64) as usize % sides
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_line_is_json_of_its_length_with_room_for_a_mark() {
        for size in [SIZE_MIN, 300, 1024, 4096, 100_000] {
            let chatter = Chatter::new(size);
            for number in 0..200 {
                let line = chatter.line(number);
                assert_eq!(line.len(), size);
                let read: serde_json::Value = serde_json::from_slice(line).unwrap();
                assert_eq!(read["id"], MARK);
                assert_eq!(&line[MARK_AT..][..MARK.len()], MARK.as_bytes());
            }
        }
    }

    #[test]
    fn lines_differ() {
        let chatter = Chatter::new(1024);
        let lines: HashSet<&[u8]> = (0..10_000).map(|number| chatter.line(number)).collect();
        assert!(lines.len() > 1000, "{}", lines.len());
    }
}
