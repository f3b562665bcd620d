//! The memory that the state of all flows may take together, and who has to give some back.
//!
//! A flow says after each epoch what it holds. When all together hold more than there is, those whose state takes more than an even share of what is left
//! beside pinned state put some into files, until it takes half of that. A flow that waits for records is woken for that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// What one flow holds, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// In memory.
    pub memory: usize,
    /// Of that, what can't be put into files.
    pub pinned: usize,
}

/// The memory for state, of all flows of a process.
#[derive(Debug)]
pub struct StateMemory {
    bytes_max: usize,
    shares: Mutex<Shares>,
    pressed: Notify,
}

#[derive(Debug, Default)]
struct Shares {
    next: u64,
    held: BTreeMap<u64, Held>,
}

/// A flow's part in the memory. Dropped, it holds nothing any more.
#[derive(Debug)]
pub struct MemoryShare {
    memory: Arc<StateMemory>,
    number: u64,
}

impl StateMemory {
    /// For `bytes_max` together.
    #[must_use]
    pub fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { bytes_max, shares: Mutex::default(), pressed: Notify::new() })
    }

    /// The part of one more flow, which holds nothing yet.
    #[must_use]
    pub fn share(self: &Arc<Self>) -> MemoryShare {
        let mut shares = self.lock();
        let number = shares.next;
        shares.next += 1;
        shares.held.insert(number, Held::default());
        MemoryShare { memory: self.clone(), number }
    }

    fn lock(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryShare {
    /// Notes what the flow holds now. Returns how many bytes it should come down to, if it has to give some back.
    #[must_use]
    pub fn hold(&self, held: Held) -> Option<usize> {
        let mut shares = self.memory.lock();
        shares.held.insert(self.number, held);
        let all: Vec<Held> = shares.held.values().copied().collect();
        let mut others = shares.held.iter().filter(|(number, _)| **number != self.number);
        let has_to_give = |(_, held): (&u64, &Held)| target(*held, &all, self.memory.bytes_max).is_some();
        if is_over(&all, self.memory.bytes_max) && others.any(has_to_give) {
            self.memory.pressed.notify_waiters();
        }
        target(held, &all, self.memory.bytes_max)
    }

    /// What all flows hold that can't be put into files, if this one held `pinned` of it, as far as that is more than there is, in bytes.
    #[must_use]
    pub fn pinned_over(&self, pinned: usize) -> Option<usize> {
        let shares = self.memory.lock();
        let others: usize = shares.held.iter().filter(|(number, _)| **number != self.number).map(|(_, held)| held.pinned).sum();
        Some(others.saturating_add(pinned)).filter(|all| *all > self.memory.bytes_max)
    }

    /// Resolves when another flow has said, after this was asked, that somebody else has to give memory back.
    pub async fn pressed(&self) {
        self.memory.pressed.notified().await;
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.memory.lock().held.remove(&self.number);
    }
}

fn sum(bytes: impl Iterator<Item = usize>) -> usize {
    bytes.fold(0, usize::saturating_add)
}

fn is_over(all: &[Held], bytes_max: usize) -> bool {
    sum(all.iter().map(|held| held.memory)) > bytes_max
}

/// How many bytes a flow that holds `own` should come down to, when all flows, it among them, hold `all`. Pure.
fn target(own: Held, all: &[Held], bytes_max: usize) -> Option<usize> {
    let movable = |held: &Held| held.memory.saturating_sub(held.pinned);
    let room = bytes_max.saturating_sub(sum(all.iter().map(|held| held.pinned)));
    let share = room / all.iter().filter(|held| movable(held) > 0).count().max(1);
    (is_over(all, bytes_max) && movable(&own) > share).then_some(own.pinned.saturating_add(share / 2))
}

#[cfg(test)]
mod tests;
