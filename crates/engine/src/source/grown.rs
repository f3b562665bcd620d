//! A place in topics, and the partitions that they have by now: a topic may get more. Pure.

use super::SourceState;

impl SourceState {
    /// The states of several sources as one.
    #[must_use]
    pub fn of_several(states: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::default();
        for (number, state) in states.into_iter().enumerate() {
            if number > 0 {
                all.starts.push(all.partitions.len());
            }
            all.partitions.extend(state.partitions);
        }
        all
    }

    /// The state of each source.
    fn each(&self) -> impl Iterator<Item = Self> + '_ {
        (0..=self.starts.len()).map(|source| self.of_source(source))
    }

    /// The same place, with the partitions beyond those it knows as `present` has them.
    #[must_use]
    pub fn with_added(&self, present: &Self) -> Self {
        Self::of_several(self.each().enumerate().map(|(source, mut state)| {
            let known = state.partitions.len();
            state.partitions.extend(present.of_source(source).partitions.into_iter().skip(known));
            state
        }))
    }

    /// The same place in the partitions that `known` has too.
    #[must_use]
    pub fn within(&self, known: &Self) -> Self {
        Self::of_several(self.each().enumerate().map(|(source, mut state)| {
            state.partitions.truncate(known.of_source(source).partitions.len());
            state
        }))
    }

    /// The number that `partition` of this state has in `other`, which has as many sources and perhaps other numbers of partitions.
    #[must_use]
    pub fn number_in(&self, other: &Self, partition: usize) -> usize {
        let (source, number) = self.source_of(partition);
        other.start_of(source) + number
    }
}

#[cfg(test)]
mod tests;
