//! Cached answers, and the rule that however many ask for one at a time, the store is read once.

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millstream_core::ports::Clock;
use millstream_core::{Error, Result, Timestamp};
use moka::future::Cache;
use xxhash_rust::xxh3::xxh3_128;

use super::generations::Slot;
use super::invalidating::Invalidations;
use super::policy::{CachePolicy, Freshness, Lifetime};

/// While the store doesn't answer, it is asked again after this long; in between the stale answer is given at once.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Memory that an entry takes beside its key and body, in bytes.
const ENTRY_OVERHEAD: usize = 256;

/// What was read from a store, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Loaded {
    /// The answer's body; `None`: there is nothing under this key.
    pub body: Option<Bytes>,
    /// The token of the next page, which stands in the body too.
    pub next: Option<String>,
    /// Whether it holds no rows.
    pub negative: bool,
    /// When the first of its rows expires.
    pub expires: Option<Timestamp>,
    /// Whether it may be kept here.
    pub keep: bool,
    /// Whether it is kept anywhere: here, or in the critical store.
    pub stored: bool,
}

/// A cached answer.
#[derive(Debug)]
pub(crate) struct Entry {
    pub loaded: Loaded,
    pub lifetime: Lifetime,
    /// A strong validator of the body, with its quotes (RFC 9110, 8.8.3).
    pub etag: String,
}

/// How an answer was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It was held and fresh.
    Hit,
    /// It was not held.
    Miss,
    /// It was held, but too old.
    Refreshed,
    /// Another request was reading it already.
    Collapsed,
    /// The store doesn't answer; a held one was still usable.
    StaleOnError,
}

#[derive(Clone)]
enum Held {
    /// To be asked for again at `recheck`; `failing`: it is given because the store didn't answer.
    Answer { entry: Arc<Entry>, recheck: Timestamp, failing: bool },
    /// For those who waited for the same read; never found by anybody else.
    Failed(Arc<Error>),
}

/// A request under the count of its partition when it was asked.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    generation: u64,
    request: Box<str>,
}

/// The answers.
pub(crate) struct ReadCache {
    held: Cache<Key, Held>,
    policy: CachePolicy,
    invalidations: Arc<Invalidations>,
    clock: Arc<dyn Clock>,
}

impl ReadCache {
    /// A cache of at most `bytes_max` bytes.
    pub fn new(bytes_max: u64, policy: CachePolicy, invalidations: Arc<Invalidations>, clock: Arc<dyn Clock>) -> Self {
        let held = Cache::builder()
            .max_capacity(bytes_max)
            .weigher(|key: &Key, held: &Held| {
                let body = match held {
                    Held::Answer { entry, .. } => entry.loaded.body.as_ref().map_or(0, Bytes::len),
                    Held::Failed(_) => 0,
                };
                u32::try_from(ENTRY_OVERHEAD + key.request.len() + body).unwrap_or(u32::MAX)
            })
            // Only housekeeping: whether an answer is good is the policy's affair, by the clock port.
            .time_to_live(policy.age_max + policy.stale_max + Duration::from_secs(1))
            .build();
        Self { held, policy, invalidations, clock }
    }

    /// The answer to `request`, which is read from the partition of `slot`: a held one that is good, or else what `load` reads.
    /// A failed read is given to all who waited for it and is not kept; where an answer is still usable, that is given instead.
    pub async fn get(
        &self,
        slot: Slot,
        request: impl Into<Box<str>>,
        load: impl Future<Output = Result<Loaded>>,
    ) -> Result<(Arc<Entry>, How), Arc<Error>> {
        // Before the store is read: see the module's account of why a fill can't overwrite a newer invalidation.
        let generation = self.invalidations.generations().read(slot);
        self.get_under(generation, request, load).await
    }

    /// The same for a caller who read the count himself, before he looked anywhere.
    pub async fn get_under(
        &self,
        generation: u64,
        request: impl Into<Box<str>>,
        load: impl Future<Output = Result<Loaded>>,
    ) -> Result<(Arc<Entry>, How), Arc<Error>> {
        let key = Key { generation, request: request.into() };
        let before = self.held.get(&key).await;
        if let Some(Held::Answer { entry, recheck, failing }) = &before
            && self.good(entry, *recheck)
        {
            return Ok((entry.clone(), if *failing { How::StaleOnError } else { How::Hit }));
        }
        let old = match before {
            Some(Held::Answer { entry, .. }) => Some(entry),
            _ => None,
        };
        let mut seed = DefaultHasher::new();
        key.request.hash(&mut seed);
        let refreshing = old.as_ref().is_some_and(|entry| entry.loaded.keep);
        let found = self
            .held
            .entry(key)
            .or_insert_with_if(
                async {
                    match load.await {
                        Ok(loaded) => self.hold(seed, loaded),
                        Err(error) => self.hold_instead_of(error, old),
                    }
                },
                |held| match held {
                    Held::Answer { entry, recheck, .. } => !self.good(entry, *recheck),
                    Held::Failed(_) => true,
                },
            )
            .await;
        let read_here = found.is_fresh();
        match found.into_value() {
            Held::Failed(error) => Err(error),
            Held::Answer { entry, failing: true, .. } => Ok((entry, How::StaleOnError)),
            Held::Answer { entry, .. } => Ok((
                entry,
                match (read_here, refreshing) {
                    (true, true) => How::Refreshed,
                    (true, false) => How::Miss,
                    (false, _) => How::Collapsed,
                },
            )),
        }
    }

    fn good(&self, entry: &Entry, recheck: Timestamp) -> bool {
        let now = self.clock.now();
        now < recheck && entry.lifetime.at(now) != Freshness::Expired
    }

    fn hold(&self, mut seed: DefaultHasher, loaded: Loaded) -> Held {
        let now = self.clock.now();
        now.hash(&mut seed);
        let mut lifetime = self.policy.lifetime(now, loaded.negative, loaded.expires, seed.finish());
        if !loaded.keep {
            lifetime = Lifetime { stored: now, fresh_until: now, usable_until: now };
        }
        let etag = etag(loaded.body.as_deref().unwrap_or_default());
        Held::Answer { recheck: lifetime.fresh_until, entry: Arc::new(Entry { loaded, lifetime, etag }), failing: false }
    }

    fn hold_instead_of(&self, error: Error, old: Option<Arc<Entry>>) -> Held {
        let now = self.clock.now();
        match old {
            Some(entry) if error.kind().is_transient() && entry.lifetime.at(now) != Freshness::Expired => {
                tracing::warn!(%error, "a store does not answer; a stale answer is given");
                Held::Answer { entry, recheck: now.plus(RETRY_AFTER), failing: true }
            }
            _ => Held::Failed(Arc::new(error)),
        }
    }
}

/// 128 bits of hash: two bodies of one request differ in it but for accidents that don't happen.
pub(crate) fn etag(body: &[u8]) -> String {
    format!("\"{:032x}\"", xxh3_128(body))
}

#[cfg(test)]
mod tests;
