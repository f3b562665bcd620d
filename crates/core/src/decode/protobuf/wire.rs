//! Protobuf's wire format ("Encoding", protobuf.dev): tags, varints, fixed words and counted bytes, without any message's meaning.

use crate::decode::varint;

/// How deep groups may be nested.
const DEPTH_MAX: u32 = 100;

/// Where and why bytes aren't a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// Of the record.
    pub at: usize,
    pub what: &'static str,
}

/// A value as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    /// With where it begins in the record.
    Counted(&'a [u8], usize),
    Group,
}

/// A cursor over the fields of one message.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    pos: usize,
    /// Where the message begins in the record.
    start: usize,
}

type Outcome<T> = Result<T, Malformed>;

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8], start: usize) -> Self {
        Self { bytes, pos: 0, start }
    }

    pub(super) fn malformed<T>(&self, what: &'static str) -> Outcome<T> {
        Err(Malformed { at: self.start + self.pos, what })
    }

    /// The next field's number and value; `None` at the end.
    #[inline]
    pub(super) fn next(&mut self) -> Outcome<Option<(u32, Wire<'a>)>> {
        if self.pos == self.bytes.len() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|n| (1..=0x1fff_ffff).contains(n));
        let Some(number) = number else { return self.malformed("a field has no number") };
        let wire = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).ok().filter(|l| *l <= self.bytes.len() - self.pos);
                let Some(length) = length else { return self.malformed("a length is beyond the end") };
                let at = self.start + self.pos;
                Wire::Counted(self.take(length)?, at)
            }
            3 => {
                self.group(number, 0)?;
                Wire::Group
            }
            5 => Wire::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return self.malformed("a field has a type of the wire that there is not"),
        };
        Ok(Some((number, wire)))
    }

    /// A varint of a packed field; `None` at the end.
    pub(super) fn packed_varint(&mut self) -> Outcome<Option<u64>> {
        if self.pos == self.bytes.len() { Ok(None) } else { self.varint().map(Some) }
    }

    /// A word of a packed field; `None` at the end.
    pub(super) fn packed_word<const N: usize>(&mut self) -> Outcome<Option<[u8; N]>> {
        if self.pos == self.bytes.len() { Ok(None) } else { self.array().map(Some) }
    }

    /// Goes past a group, whose beginning has been read.
    fn group(&mut self, number: u32, depth: u32) -> Outcome<()> {
        if depth > DEPTH_MAX {
            return self.malformed("groups are nested too deep");
        }
        loop {
            if self.pos == self.bytes.len() {
                return self.malformed("the bytes end within a group");
            }
            let at = self.pos;
            let tag = self.varint()?;
            match (u32::try_from(tag >> 3), tag & 7) {
                (Ok(ended), 4) if ended == number => return Ok(()),
                (Ok(_), 4) => return self.malformed("a group ends that did not begin"),
                (Ok(inner), 3) => self.group(inner, depth + 1)?,
                _ => {
                    self.pos = at;
                    self.next()?;
                }
            }
        }
    }

    fn take(&mut self, length: usize) -> Outcome<&'a [u8]> {
        match self.bytes.get(self.pos..self.pos + length) {
            Some(taken) => {
                self.pos += length;
                Ok(taken)
            }
            None => self.malformed("the bytes end within a value"),
        }
    }

    fn array<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        let taken = self.take(N)?;
        <[u8; N]>::try_from(taken).or_else(|_| self.malformed("the bytes end within a value"))
    }

    #[inline]
    fn varint(&mut self) -> Outcome<u64> {
        match varint::read(self.bytes.get(self.pos..).unwrap_or_default()) {
            Ok((value, length)) => {
                self.pos += length;
                Ok(value)
            }
            Err(what) => self.malformed(what),
        }
    }
}
