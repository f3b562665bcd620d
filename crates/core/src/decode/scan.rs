//! The JSON scanner: RFC 8259 tokens of one text, strictly, without building anything. It knows no columns.
//!
//! The whole text is checked to be UTF-8 before, so that every token is a slice of it. Strings with escapes are found here and decoded
//! by serde_json. It is hand-written because the decoder wants what the libraries' visitors don't give: the exact text of a number
//! (DECIMAL, STRING), and a comparison of the next key with the key that followed last time before anything is parsed.

/// Nesting that is refused: Jackson's bound, and with it Spark's (`StreamReadConstraints`).
pub(super) const DEPTH_MAX: u32 = 1_000;

/// Where and why a text isn't JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// The byte at which it was seen.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// A string: the places of its content, without the quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct StringToken {
    pub start: usize,
    pub end: usize,
    /// Whether it holds escapes.
    pub escaped: bool,
}

/// A number: the places of its text, and its value where it is an integer of at most 19 digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct NumberToken {
    pub start: usize,
    pub end: usize,
    pub negative: bool,
    /// Neither fraction nor exponent.
    pub integral: bool,
    /// Its digits as a number, when integral and no more than 19 of them.
    pub magnitude: Option<u64>,
}

impl NumberToken {
    /// Its value, where it is whole and fits.
    #[inline]
    pub(super) fn integer(self) -> Option<i64> {
        // Only of a whole number.
        let magnitude = self.magnitude?;
        if self.negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
    }
}

/// A value that is a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Literal {
    True,
    False,
    Null,
}

/// A cursor over one JSON text.
#[derive(Clone, Debug)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    pos: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, bytes: text.as_bytes(), pos: 0 }
    }

    #[inline]
    pub(super) fn position(&self) -> usize {
        self.pos
    }

    /// The text between two token places.
    #[inline]
    pub(super) fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    pub(super) fn malformed<T>(&self, what: &'static str) -> Result<T, Malformed> {
        Err(Malformed { at: self.pos, what })
    }

    #[inline]
    pub(super) fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.pos += 1;
        }
    }

    /// Goes past `byte`, if it is next.
    #[inline]
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.pos += usize::from(found);
        found
    }

    /// The 16 bytes that are `ahead` of here, the first one lowest; `None` near the end of the text.
    #[inline]
    pub(super) fn word(&self, ahead: usize) -> Option<u128> {
        self.bytes.get(self.pos + ahead..).and_then(|rest| rest.first_chunk::<16>()).map(|chunk| u128::from_le_bytes(*chunk))
    }

    /// Goes past `length` bytes that the caller has looked at.
    #[inline]
    pub(super) fn advance(&mut self, length: usize) {
        self.pos += length;
    }

    /// Goes past `bytes`, if they are next.
    #[inline]
    pub(super) fn eat_all(&mut self, bytes: &[u8]) -> bool {
        let found = self.bytes.get(self.pos..self.pos + bytes.len()) == Some(bytes);
        if found {
            self.pos += bytes.len();
        }
        found
    }

    /// The colon between a key and its value, and the white space around it.
    #[inline]
    pub(super) fn colon(&mut self) -> Result<(), Malformed> {
        self.skip_whitespace();
        if !self.eat(b':') {
            return self.malformed("expected a colon");
        }
        self.skip_whitespace();
        Ok(())
    }

    /// After a member or element: whether another follows (the comma is eaten), or `close` ended it.
    #[inline]
    pub(super) fn another(&mut self, close: u8) -> Result<bool, Malformed> {
        self.skip_whitespace();
        if self.eat(b',') {
            self.skip_whitespace();
            return Ok(true);
        }
        if self.eat(close) {
            return Ok(false);
        }
        self.malformed(if close == b'}' { "expected a comma or a closing brace" } else { "expected a comma or a closing bracket" })
    }

    /// Nothing but white space is left.
    pub(super) fn finish(&mut self) -> Result<(), Malformed> {
        self.skip_whitespace();
        if self.pos == self.bytes.len() { Ok(()) } else { self.malformed("something follows the object") }
    }

    /// A string; the cursor is at its opening quote.
    #[inline]
    pub(super) fn string(&mut self) -> Result<StringToken, Malformed> {
        if !self.eat(b'"') {
            return self.malformed("expected a quote");
        }
        let start = self.pos;
        let mut escaped = false;
        loop {
            self.pos = plain_until(self.bytes, self.pos);
            match self.peek() {
                Some(b'"') => {
                    let end = self.pos;
                    self.pos += 1;
                    return Ok(StringToken { start, end, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.pos += 2;
                }
                Some(_) => return self.malformed("a control character in a string"),
                None => {
                    self.pos = self.bytes.len();
                    return self.malformed("the text ends within a string");
                }
            }
        }
    }

    /// The content of a string with escapes.
    pub(super) fn unescape(&self, token: StringToken) -> Result<String, Malformed> {
        serde_json::from_str(self.slice(token.start - 1, token.end + 1))
            .map_err(|_| Malformed { at: token.start, what: "a wrong escape in a string" })
    }

    /// A number; the cursor is at its sign or first digit.
    #[inline]
    pub(super) fn number(&mut self) -> Result<NumberToken, Malformed> {
        let start = self.pos;
        let negative = self.eat(b'-');
        let first = self.pos;
        let mut magnitude = 0_u64;
        if let Some((count, value)) = self.few_digits() {
            magnitude = value;
            self.pos += count;
        }
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            magnitude = magnitude.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.pos += 1;
        }
        let digits = self.pos - first;
        if digits == 0 {
            return self.malformed("expected a digit");
        }
        if digits > 1 && self.bytes.get(first) == Some(&b'0') {
            return Err(Malformed { at: first, what: "a number begins with a zero" });
        }
        let integral = !matches!(self.peek(), Some(b'.' | b'e' | b'E'));
        if !integral {
            self.fraction_and_exponent()?;
        }
        let magnitude = (integral && digits <= 19).then_some(magnitude);
        Ok(NumberToken { start, end: self.pos, negative, integral, magnitude })
    }

    /// A whole number that fits; the cursor is anywhere. `None` where none is there, or one with a fraction or an exponent.
    #[inline]
    pub(super) fn integer(&mut self) -> Option<i64> {
        self.number().ok()?.integer()
    }

    /// The digits that are next, up to seven, and their number: by one look at eight bytes instead of a branch a digit. `None` near the end of
    /// the text, or where none or more are next.
    #[inline]
    fn few_digits(&self) -> Option<(usize, u64)> {
        const ZEROS: u64 = 0x3030_3030_3030_3030;
        const HIGH_HALVES: u64 = 0xf0f0_f0f0_f0f0_f0f0;
        let chunk = self.bytes.get(self.pos..).and_then(|rest| rest.first_chunk::<8>())?;
        let word = u64::from_le_bytes(*chunk);
        // A byte that is no digit has another high half than `0`, or gets one by adding 6; only the lowest such byte is exact, and only that one
        // is used.
        let others = ((word & HIGH_HALVES) ^ ZEROS) | ((word.wrapping_add(0x0606_0606_0606_0606) & HIGH_HALVES) ^ ZEROS);
        let count = (others.trailing_zeros() / 8) as usize;
        if !(1..8).contains(&count) {
            return None;
        }
        // The digits moved to the highest bytes, with zeros before them: then neighbours are joined to numbers of two, four and eight digits.
        let digits = (word.wrapping_sub(ZEROS)) << (64 - 8 * count);
        let pairs = (digits.wrapping_mul(10).wrapping_add(digits >> 8)) & 0x00ff_00ff_00ff_00ff;
        let fours = (pairs.wrapping_mul(100).wrapping_add(pairs >> 16)) & 0x0000_ffff_0000_ffff;
        Some((count, (fours.wrapping_mul(10_000).wrapping_add(fours >> 32)) & 0xffff_ffff))
    }

    fn fraction_and_exponent(&mut self) -> Result<(), Malformed> {
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'-') {
                self.eat(b'+');
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.pos;
        while let Some(b'0'..=b'9') = self.peek() {
            self.pos += 1;
        }
        if self.pos == start { self.malformed("expected a digit") } else { Ok(()) }
    }

    /// `true`, `false` or `null`.
    #[inline]
    pub(super) fn literal(&mut self) -> Result<Literal, Malformed> {
        if self.eat_all(b"null") {
            Ok(Literal::Null)
        } else if self.eat_all(b"true") {
            Ok(Literal::True)
        } else if self.eat_all(b"false") {
            Ok(Literal::False)
        } else {
            self.malformed("expected a value")
        }
    }

    /// Goes past one value of any kind, checking it; `depth` is how deep it lies.
    pub(super) fn skip_value(&mut self, depth: u32) -> Result<(), Malformed> {
        match self.peek() {
            Some(b'"') => self.skip_string(),
            Some(b'-' | b'0'..=b'9') => self.number().map(|_| ()),
            Some(b'{') => self.skip_nested(depth, b'}', true),
            Some(b'[') => self.skip_nested(depth, b']', false),
            Some(_) => self.literal().map(|_| ()),
            None => self.malformed("the text ends where a value is expected"),
        }
    }

    fn skip_string(&mut self) -> Result<(), Malformed> {
        let token = self.string()?;
        if token.escaped {
            self.unescape(token)?;
        }
        Ok(())
    }

    fn skip_nested(&mut self, depth: u32, close: u8, keyed: bool) -> Result<(), Malformed> {
        if depth >= DEPTH_MAX {
            return self.malformed("values are nested too deep");
        }
        self.pos += 1;
        self.skip_whitespace();
        if self.eat(close) {
            return Ok(());
        }
        loop {
            if keyed {
                self.skip_string()?;
                self.colon()?;
            }
            self.skip_value(depth + 1)?;
            if !self.another(close)? {
                return Ok(());
            }
        }
    }
}

/// The first place from `from` on that a string can't go past: a quote, a backslash, a control character, or the end.
///
/// Eight bytes at a time (the bit tricks for "has a byte equal to" and "less than" of a word; only the lowest hit is exact, and only
/// that one is used).
#[inline]
fn plain_until(bytes: &[u8], from: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let mut pos = from;
    while let Some(chunk) = bytes.get(pos..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * 0x22);
        let backslash = word ^ (ONES * 0x5c);
        let hits =
            (quote.wrapping_sub(ONES) & !quote) | (backslash.wrapping_sub(ONES) & !backslash) | (word.wrapping_sub(ONES * 0x20) & !word);
        let hits = hits & HIGHS;
        if hits != 0 {
            return pos + (hits.trailing_zeros() / 8) as usize;
        }
        pos += 8;
    }
    while let Some(byte) = bytes.get(pos) {
        if *byte < 0x20 || matches!(byte, b'"' | b'\\') {
            return pos;
        }
        pos += 1;
    }
    pos
}
