//! The memory that the state of all flows may take together, and who has to give some back.
//!
//! A flow says after each epoch what it holds. When all together hold more than there is, those whose state takes more than an even share of what is left
//! beside pinned state put some into files, until it takes half of that. A flow that waits for records, for a source that is away, or for a commit, is woken for that: a
//! signal is kept until the flow waits, so that none is missed that is given after it has last looked.

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
}

#[derive(Debug, Default)]
struct Shares {
    next: u64,
    of_flows: BTreeMap<u64, Share>,
}

/// What a flow holds, and the signal that it has to give some back.
#[derive(Debug)]
struct Share {
    held: Held,
    pressed: Arc<Notify>,
}

/// A flow's part in the memory. Dropped, it holds nothing any more.
#[derive(Debug)]
pub struct MemoryShare {
    memory: Arc<StateMemory>,
    number: u64,
    pressed: Arc<Notify>,
}

impl StateMemory {
    /// For `bytes_max` together.
    #[must_use]
    pub fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { bytes_max, shares: Mutex::default() })
    }

    /// The part of one more flow, which holds nothing yet.
    #[must_use]
    pub fn share(self: &Arc<Self>) -> MemoryShare {
        let mut shares = self.lock();
        let number = shares.next;
        shares.next += 1;
        let pressed = Arc::new(Notify::new());
        shares.of_flows.insert(number, Share { held: Held::default(), pressed: pressed.clone() });
        MemoryShare { memory: self.clone(), number, pressed }
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
        shares.of_flows.insert(self.number, Share { held, pressed: self.pressed.clone() });
        let all: Vec<Held> = shares.of_flows.values().map(|share| share.held).collect();
        if is_over(&all, self.memory.bytes_max) {
            let others = shares.of_flows.iter().filter(|(number, _)| **number != self.number);
            // Kept for a flow that doesn't wait at this moment.
            let has_to_give = others.filter(|(_, share)| target(share.held, &all, self.memory.bytes_max).is_some());
            has_to_give.for_each(|(_, share)| share.pressed.notify_one());
        }
        target(held, &all, self.memory.bytes_max)
    }

    /// What all flows hold that can't be put into files, if this one held `pinned` of it, as far as that is more than there is, in bytes.
    #[must_use]
    pub fn pinned_over(&self, pinned: usize) -> Option<usize> {
        let shares = self.memory.lock();
        let others = shares.of_flows.iter().filter(|(number, _)| **number != self.number);
        Some(sum(others.map(|(_, share)| share.held.pinned)).saturating_add(pinned)).filter(|all| *all > self.memory.bytes_max)
    }

    /// Resolves when another flow has found that this one has to give memory back, once for all that was found since it last did.
    pub async fn pressed(&self) {
        self.pressed.notified().await;
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.memory.lock().of_flows.remove(&self.number);
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
