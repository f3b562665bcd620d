//! [`Size`]: a number of bytes for people.

use std::fmt;

/// The units behind bytes, each 1,024 of the one before: as settings and their defaults count.
const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];

/// So many bytes, shown in the greatest unit of which there is one: `512 bytes`, `1.5 KiB`, `64 MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl Size {
    /// Of something in memory.
    #[must_use]
    pub fn of(bytes: usize) -> Self {
        Self(bytes as u64)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((unit, name)) = (1..).map(|power| 1_u64 << (10 * power)).zip(UNITS).take_while(|(unit, _)| *unit <= self.0).last() else {
            return write!(f, "{} byte{}", self.0, if self.0 == 1 { "" } else { "s" });
        };
        // Cut off, not rounded: what is below a bound is never shown as that.
        let (whole, tenths) = (self.0 / unit, self.0 % unit * 10 / unit);
        if tenths == 0 { write!(f, "{whole} {name}") } else { write!(f, "{whole}.{tenths} {name}") }
    }
}

#[cfg(test)]
mod tests;
