//! Which sessions there are, for each key, and which of them a row joins. Knows spans of time and keys as bytes, no aggregates. Pure.
//!
//! A row's own span is from its time to the end of its gap. It joins every session of its key whose span meets its own (touching is
//! enough, as in Spark), and so makes one of them. A session is closed when the watermark has reached its end. A row is *late*
//!
//! 1. when its own span ends at or before the watermark: this is Spark's rule;
//! 2. when it would join a closed session, whose row is written already. (Spark begins a second session that overlaps the first; which rows
//!    that has depends on where batches end.)
//!
//! So what sessions there are does not depend on where epochs end, and all rows that were not late, taken together in any order, make the
//! same sessions: that is how they are verified. For rule 2, closed sessions are *remembered* as long as a row that is not late by rule 1
//! could reach them: until the watermark is past their end by the greatest gap that was seen. Where gaps differ, a row that reaches
//! further back than this is late too.

use datafusion::common::HashMap;
use millstream_core::EventTime;
use serde::{Deserialize, Serialize};

/// A span of time in microseconds, both ends included where spans meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) start: i64,
    pub(super) end: i64,
}

impl Span {
    fn meets(self, other: Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    fn covering(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// How far back rows can reach that are not late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// The greatest gap that was seen, in microseconds.
    pub greatest_gap: i64,
    /// Rows at this time or before are late.
    pub horizon: i64,
}

impl Reach {
    /// For a gap that is always the same; or, with 0, for gaps that are not known before.
    pub(super) fn of_gap(gap: i64) -> Self {
        Self { greatest_gap: gap, horizon: i64::MIN }
    }

    /// The watermark is `watermark` now.
    pub(super) fn advance(&mut self, watermark: Option<EventTime>) {
        if let Some(EventTime(watermark)) = watermark {
            self.horizon = self.horizon.max(watermark.saturating_sub(self.greatest_gap));
        }
    }

    fn saw(&mut self, gap: i64) {
        self.greatest_gap = self.greatest_gap.max(gap);
    }
}

/// About what a key takes in memory beside its bytes, with one session: places in the table, and on the heap.
const PER_KEY_BYTES: usize = 128;

/// A session of a key.
#[derive(Clone, Copy, Debug)]
struct Session {
    span: Span,
    place: Place,
}

/// Where the state of a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the stored state, under its span.
    Stored,
    /// Nowhere any more: its row is written.
    Closed,
    /// Rows of the epoch that is [joining](Joining) are in it: its number among those.
    Joined(usize),
}

/// A session that rows of an epoch have joined.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) span: Span,
    /// The number of its key.
    pub(super) key: usize,
    /// A row that is in it.
    pub(super) row: usize,
    /// The stored sessions that it took up.
    pub(super) taken_up: Vec<Span>,
    /// The session that took it up, if one did.
    into: Option<usize>,
}

/// The number of the session that the one of `number` is part of in the end.
pub(super) fn whole(joined: &[Joined], mut number: usize) -> usize {
    while let Some(into) = joined.get(number).and_then(|j| j.into) {
        number = into;
    }
    number
}

/// The sessions of all keys.
#[derive(Debug)]
pub(super) struct Sessions {
    of_key: HashMap<Box<[u8]>, Vec<Session>>,
    /// Bytes of the keys.
    key_bytes: usize,
    pub(super) reach: Reach,
}

impl Sessions {
    pub(super) fn new(reach: Reach) -> Self {
        Self { of_key: HashMap::new(), key_bytes: 0, reach }
    }

    /// Begins an epoch whose rows have these keys, all different: each is looked up once, and known by its number from then on.
    pub(super) fn joining<'k>(&mut self, keys: Vec<&'k [u8]>) -> Joining<'_, 'k> {
        let taken = keys.iter().map(|key| self.of_key.get_mut(*key).map(std::mem::take).unwrap_or_default());
        let of_key = taken.collect();
        Joining { all: self, keys, of_key, joined: Vec::new() }
    }

    /// A stored session was put back.
    pub(super) fn add(&mut self, key: &[u8], span: Span, closed: bool) {
        self.remove(key, span);
        let place = if closed { Place::Closed } else { Place::Stored };
        match self.of_key.get_mut(key) {
            Some(sessions) => sessions.push(Session { span, place }),
            None => self.put(key, vec![Session { span, place }]),
        }
    }

    /// These are the sessions of a key.
    fn put(&mut self, key: &[u8], sessions: Vec<Session>) {
        if let Some(before) = self.of_key.get_mut(key) {
            *before = sessions;
        } else {
            self.key_bytes += key.len();
            self.of_key.insert(key.into(), sessions);
        }
    }

    /// A session is closed.
    pub(super) fn close(&mut self, key: &[u8], span: Span) {
        let sessions = self.of_key.get_mut(key).into_iter().flatten();
        sessions.filter(|s| s.span == span).for_each(|s| s.place = Place::Closed);
    }

    /// A session is there no more.
    pub(super) fn remove(&mut self, key: &[u8], span: Span) {
        if let Some(sessions) = self.of_key.get_mut(key) {
            sessions.retain(|s| s.span != span);
            if sessions.is_empty() {
                self.of_key.remove(key);
                self.key_bytes -= key.len();
            }
        }
    }

    /// About how many bytes the keys and spans take.
    pub(super) fn bytes(&self) -> usize {
        self.of_key.len() * PER_KEY_BYTES + self.key_bytes
    }
}

/// The rows of an epoch on their way into sessions. Until it is [settled](Self::settle), the sessions of their keys are here.
#[derive(Debug)]
pub(super) struct Joining<'s, 'k> {
    all: &'s mut Sessions,
    keys: Vec<&'k [u8]>,
    /// For each key.
    of_key: Vec<Vec<Session>>,
    joined: Vec<Joined>,
}

impl Joining<'_, '_> {
    /// Notes that a row of the key of number `key` with this span comes at `watermark`, and says whether it is late.
    pub(super) fn is_late(&mut self, key: usize, span: Span, watermark: Option<EventTime>) -> bool {
        self.all.reach.advance(watermark);
        let Some(EventTime(at)) = watermark else {
            self.saw(span);
            return false;
        };
        let closed = |s: &Session| s.place == Place::Closed || s.span.end <= at;
        let meets_closed = || self.of_key[key].iter().any(|s| closed(s) && s.span.meets(span));
        let late = span.end <= at || span.start <= self.all.reach.horizon || meets_closed();
        self.saw(span);
        late
    }

    /// Notes that a row with this span has come.
    pub(super) fn saw(&mut self, span: Span) {
        self.all.reach.saw(span.end.saturating_sub(span.start));
    }

    /// Puts `row` into the sessions of its key that `span` meets. Returns the number of the one that these are now.
    pub(super) fn join(&mut self, key: usize, row: usize, span: Span) -> usize {
        let Self { of_key, joined, .. } = self;
        let sessions = &mut of_key[key];
        let (mut whole, mut number, mut taken_up) = (span, None, Vec::new());
        sessions.retain(|session| {
            if session.place == Place::Closed || !session.span.meets(span) {
                return true;
            }
            whole = whole.covering(session.span);
            match (session.place, number) {
                (Place::Joined(first), None) => number = Some(first),
                (Place::Joined(other), Some(first)) => {
                    joined[other].into = Some(first);
                    taken_up.append(&mut joined[other].taken_up);
                }
                _ => taken_up.push(session.span),
            }
            false
        });
        let number = number.unwrap_or_else(|| {
            joined.push(Joined { span, key, row, taken_up: Vec::new(), into: None });
            joined.len() - 1
        });
        joined[number].span = whole;
        joined[number].taken_up.append(&mut taken_up);
        sessions.push(Session { span: whole, place: Place::Joined(number) });
        number
    }

    /// The epoch's rows are all there: the sessions that they joined are stored from now on.
    pub(super) fn settle(self) -> Vec<Joined> {
        let Self { all, keys, of_key, joined } = self;
        for (key, mut sessions) in keys.into_iter().zip(of_key).filter(|(_, sessions)| !sessions.is_empty()) {
            for session in &mut sessions {
                if matches!(session.place, Place::Joined(_)) {
                    session.place = Place::Stored;
                }
            }
            all.put(key, sessions);
        }
        joined
    }
}

#[cfg(test)]
mod tests;
