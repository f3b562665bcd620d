//! A reader of the JSON that [`cells`](super::cells) writes. Pure.
//!
//! It hands out numbers as their text, for a DECIMAL or BIGINT must not pass through a double, and object members one by one in the
//! order in which they stand. It reads any valid JSON; what Millstream did not write is [`Corrupt`](millstream_core::ErrorKind::Corrupt).

use std::borrow::Cow;

use millstream_core::{Error, Result};

/// A place in a JSON text. A clone reads the same again.
#[derive(Clone)]
pub(super) struct JsonReader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> JsonReader<'a> {
    /// The beginning of `text`.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// Whether a null stands here; reads over it.
    pub fn null(&mut self) -> bool {
        self.skip_space();
        let is_null = self.text[self.at..].starts_with(b"null");
        if is_null {
            self.at += 4;
        }
        is_null
    }

    /// The text of a number or of `true` and `false`, or the content of a string.
    pub fn scalar(&mut self) -> Result<Cow<'a, str>> {
        self.skip_space();
        if self.text.get(self.at) == Some(&b'"') {
            return self.string();
        }
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|b| b",]} \n\r\t:".contains(b)).unwrap_or(rest.len());
        if length == 0 {
            return Err(self.wrong("a value"));
        }
        self.at += length;
        std::str::from_utf8(&rest[..length]).map(Cow::Borrowed).map_err(|_| self.wrong("UTF-8"))
    }

    /// Reads an array; `item` reads each of its items.
    pub fn array(&mut self, mut item: impl FnMut(&mut Self) -> Result<()>) -> Result<usize> {
        self.expect(b'[')?;
        let mut count = 0;
        while !self.closes(b']', count)? {
            item(self)?;
            count += 1;
        }
        Ok(count)
    }

    /// Reads an object; `member` is given each name and reads the value.
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<()>) -> Result<usize> {
        self.expect(b'{')?;
        let mut count = 0;
        while !self.closes(b'}', count)? {
            self.skip_space();
            let name = self.string()?;
            self.expect(b':')?;
            member(self, name)?;
            count += 1;
        }
        Ok(count)
    }

    /// Reads over a value of any kind.
    pub fn skip(&mut self) -> Result<()> {
        self.skip_space();
        match self.text.get(self.at) {
            Some(b'[') => self.array(Self::skip).map(drop),
            Some(b'{') => self.object(|this, _| this.skip()).map(drop),
            _ => self.scalar().map(drop),
        }
    }

    /// Nothing follows.
    pub fn end(&mut self) -> Result<()> {
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { Err(self.wrong("the end")) }
    }

    fn closes(&mut self, close: u8, count: usize) -> Result<bool> {
        self.skip_space();
        match self.text.get(self.at) {
            Some(b) if *b == close => {
                self.at += 1;
                Ok(true)
            }
            _ if count == 0 => Ok(false),
            _ => self.expect(b',').map(|()| false),
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>> {
        let start = self.at;
        self.expect(b'"')?;
        let (mut escaped, mut plain) = (false, true);
        loop {
            let byte = *self.text.get(self.at).ok_or_else(|| self.wrong("a string's end"))?;
            self.at += 1;
            match byte {
                _ if escaped => escaped = false,
                b'\\' => (escaped, plain) = (true, false),
                b'"' => break,
                _ => {}
            }
        }
        let quoted = &self.text[start..self.at];
        if plain {
            return std::str::from_utf8(&quoted[1..quoted.len() - 1]).map(Cow::Borrowed).map_err(|_| self.wrong("UTF-8"));
        }
        serde_json::from_slice::<String>(quoted).map(Cow::Owned).map_err(|_| self.wrong("a string"))
    }

    fn expect(&mut self, byte: u8) -> Result<()> {
        self.skip_space();
        if self.text.get(self.at) != Some(&byte) {
            return Err(self.wrong(&format!("{:?}", char::from(byte))));
        }
        self.at += 1;
        Ok(())
    }

    fn skip_space(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn wrong(&self, expected: &str) -> Error {
        Error::corrupt(format!("JSON in Redis lacks {expected} at byte {}; did another program write it?", self.at))
    }
}

#[cfg(test)]
mod tests;
