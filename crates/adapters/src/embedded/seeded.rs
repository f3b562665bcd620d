//! A small seeded generator for the codecs' tests: the same seed gives the same cases on every machine.

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
pub(super) struct Seeded(pub u64);

impl Seeded {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// A number that is often small, often extreme.
    pub fn integer(&mut self) -> i64 {
        match self.below(4) {
            0 => self.below(5) as i64 - 2,
            1 => [i64::MIN, i64::MAX, i64::MIN + 1, 0][self.below(4) as usize],
            _ => self.next() as i64,
        }
    }

    /// Up to six bytes, often 0x00, 0x01 and 0xFF.
    pub fn bytes(&mut self) -> Vec<u8> {
        (0..self.below(7)).map(|_| [0, 1, 0xFF, b'a', 0x80, self.next() as u8][self.below(6) as usize]).collect()
    }

    /// Up to six characters, often zeros, some of several bytes.
    pub fn text(&mut self) -> String {
        (0..self.below(7)).map(|_| ['\0', '\u{1}', 'a', 'b', 'é', '\u{10ffff}'][self.below(6) as usize]).collect()
    }
}
