//! Durations counted by size, in little memory however many there are. It knows no clock.

/// Each power of two is divided into so many parts: a duration is known to within 1 %.
const PARTS: u64 = 128;

/// Durations in microseconds.
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    most_us: u64,
}

impl Histogram {
    /// Without any.
    pub fn new() -> Self {
        Self { counts: Vec::new(), count: 0, most_us: 0 }
    }

    /// Adds one.
    pub fn add(&mut self, us: u64) {
        let place = place(us);
        if self.counts.len() <= place {
            self.counts.resize(place + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
        self.count += 1;
        self.most_us = self.most_us.max(us);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest, in microseconds; 0 if there is none.
    pub fn most_us(&self) -> u64 {
        self.most_us
    }

    /// The duration in microseconds that so many of a thousand are not longer than; 0 if there is none.
    pub fn at(&self, per_mille: u64) -> u64 {
        let wanted = (self.count * per_mille).div_ceil(1_000).max(1);
        let mut seen = 0;
        let place = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        place.map_or(0, |place| longest(place).min(self.most_us))
    }
}

/// Where durations of this length are counted: below [`PARTS`] each for itself.
fn place(us: u64) -> usize {
    let place = match us.checked_ilog2() {
        Some(power) if us >= PARTS => {
            let shift = power - PARTS.ilog2();
            u64::from(shift + 1) * PARTS + ((us >> shift) - PARTS)
        }
        _ => us,
    };
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// The longest duration that is counted at `place`.
fn longest(place: usize) -> u64 {
    let place = place as u64;
    match place / PARTS {
        0 => place,
        power => ((PARTS + place % PARTS + 1) << (power - 1)) - 1,
    }
}

#[cfg(test)]
mod tests;
