//! Which column a member of a JSON object belongs to, found before its key is parsed.

use std::collections::HashMap;

use super::scan::{Malformed, Scanner};

/// How many names of unknown members are remembered.
const UNKNOWN_MAX: usize = 256;

/// How many bytes are compared at once.
const WORD: usize = 16;

/// The names of members, and which followed which in the records before: producers write the same members in the same order, so that
/// nearly every key is found by one comparison of bytes, before it is parsed.
#[derive(Debug)]
pub(super) struct Members {
    known: Vec<Member>,
    by_name: HashMap<String, usize>,
}

#[derive(Debug)]
struct Member {
    /// The name as it stands in a record, with its quotes and the colon; empty where it would need escapes.
    quoted: Box<[u8]>,
    /// The first 16 bytes of `quoted`, and which bits of them count; where it is longer, its last 16 bytes: names of up to 29 bytes are
    /// compared as one word or two.
    head: u128,
    mask: u128,
    tail: Option<u128>,
    /// Its column; `None` for a member that no column has.
    column: Option<usize>,
    /// The member that followed it last time.
    next: usize,
}

impl Member {
    fn new(quoted: Box<[u8]>, column: Option<usize>, next: usize) -> Self {
        let word = |bytes: &[u8]| bytes.iter().enumerate().fold(0, |word, (at, byte)| word | u128::from(*byte) << (8 * at));
        let (head, _) = quoted.split_at(quoted.len().min(WORD));
        let mask = if head.len() == WORD { u128::MAX } else { (1 << (8 * head.len())) - 1 };
        let tail = (WORD + 1..=2 * WORD).contains(&quoted.len()).then(|| word(&quoted[quoted.len() - WORD..]));
        Self { head: word(head), mask, tail, quoted, column, next }
    }

    /// Goes past this member's name and its colon, if they are next.
    #[inline]
    fn eat(&self, scanner: &mut Scanner<'_>) -> bool {
        let length = self.quoted.len();
        match (scanner.word(0), self.tail) {
            (Some(word), _) if (word ^ self.head) & self.mask != 0 => return false,
            (Some(_), None) if (1..=WORD).contains(&length) => {}
            (Some(_), Some(tail)) if scanner.word(length - WORD) == Some(tail) => {}
            _ => return length > 0 && scanner.eat_all(&self.quoted),
        }
        scanner.advance(length);
        true
    }
}

impl Members {
    /// What stands before the first member.
    pub(super) const START: usize = 0;

    /// Of columns by their places and names.
    pub(super) fn new<'n>(names: impl Iterator<Item = (usize, &'n str)>) -> Self {
        let mut members = Self { known: Vec::new(), by_name: HashMap::new() };
        members.known.push(Member::new(Box::default(), None, 1));
        for (column, name) in names {
            members.learn(name, Some(column));
        }
        members
    }

    fn learn(&mut self, name: &str, column: Option<usize>) -> usize {
        let id = self.known.len();
        let plain = name.bytes().all(|b| b >= 0x20 && !matches!(b, b'"' | b'\\'));
        let quoted = if plain { format!("\"{name}\":").into_bytes().into_boxed_slice() } else { Box::default() };
        self.known.push(Member::new(quoted, column, id + 1));
        self.by_name.insert(name.to_owned(), id);
        id
    }

    /// The column of the next key, which is eaten with the colon and the white space behind it; `None` for an unknown one. `previous` is the
    /// member before it.
    #[inline]
    pub(super) fn next(&mut self, scanner: &mut Scanner<'_>, previous: &mut usize) -> Result<Option<usize>, Malformed> {
        let mut guess = *previous;
        // The second guess is for a member that this record leaves out.
        for _ in 0..2 {
            guess = self.known.get(guess).map_or(Self::START, |member| member.next);
            if let Some(member) = self.known.get(guess)
                && member.eat(scanner)
            {
                *previous = guess;
                scanner.skip_whitespace();
                return Ok(member.column);
            }
        }
        self.look_up(scanner, previous)
    }

    fn look_up(&mut self, scanner: &mut Scanner<'_>, previous: &mut usize) -> Result<Option<usize>, Malformed> {
        let token = scanner.string()?;
        scanner.colon()?;
        let unescaped;
        let name = if token.escaped {
            unescaped = scanner.unescape(token)?;
            unescaped.as_str()
        } else {
            scanner.slice(token.start, token.end)
        };
        let id = match self.by_name.get(name) {
            Some(id) => *id,
            None if self.known.len() < self.columns() + UNKNOWN_MAX && name.len() <= 256 => self.learn(name, None),
            None => return Ok(None),
        };
        if let Some(member) = self.known.get_mut(*previous) {
            member.next = id;
        }
        *previous = id;
        Ok(self.known.get(id).and_then(|member| member.column))
    }

    fn columns(&self) -> usize {
        self.known.iter().filter(|m| m.column.is_some()).count()
    }
}
