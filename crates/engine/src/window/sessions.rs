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

use std::collections::HashMap;

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
    /// Rows of this epoch have joined it: the number among those.
    Joined(usize),
}

/// A session that rows of this epoch have joined.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) span: Span,
    /// A row that is in it.
    pub(super) row: usize,
    /// The stored sessions that it took up.
    pub(super) taken_up: Vec<Span>,
    /// The session that took it up, if one did.
    into: Option<usize>,
}

/// The sessions of all keys.
#[derive(Debug)]
pub(super) struct Sessions {
    of_key: HashMap<Box<[u8]>, Vec<Session>>,
    /// Bytes of the keys.
    key_bytes: usize,
    joined: Vec<Joined>,
    pub(super) reach: Reach,
}

impl Sessions {
    pub(super) fn new(reach: Reach) -> Self {
        Self { of_key: HashMap::new(), key_bytes: 0, joined: Vec::new(), reach }
    }

    /// Notes that a row with this span comes at `watermark`, and says whether it is late.
    pub(super) fn is_late(&mut self, key: &[u8], span: Span, watermark: Option<EventTime>) -> bool {
        self.reach.advance(watermark);
        let Some(EventTime(at)) = watermark else {
            self.saw(span);
            return false;
        };
        let closed = |s: &Session| s.place == Place::Closed || s.span.end <= at;
        let meets_closed = || self.of_key.get(key).is_some_and(|all| all.iter().any(|s| closed(s) && s.span.meets(span)));
        let late = span.end <= at || span.start <= self.reach.horizon || meets_closed();
        self.saw(span);
        late
    }

    /// Notes that a row with this span has come.
    pub(super) fn saw(&mut self, span: Span) {
        self.reach.saw(span.end.saturating_sub(span.start));
    }

    /// Puts `row` into the sessions of `key` that `span` meets. Returns the number of the one that these are now.
    pub(super) fn join(&mut self, key: &[u8], row: usize, span: Span) -> usize {
        let Self { of_key, key_bytes, joined, .. } = self;
        let sessions = match of_key.get_mut(key) {
            Some(sessions) => sessions,
            None => {
                *key_bytes += key.len();
                of_key.entry(key.into()).or_default()
            }
        };
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
            joined.push(Joined { span, row, taken_up: Vec::new(), into: None });
            joined.len() - 1
        });
        joined[number].span = whole;
        joined[number].taken_up.append(&mut taken_up);
        sessions.push(Session { span: whole, place: Place::Joined(number) });
        number
    }

    /// The number of the session that the one of `number` is part of by now.
    pub(super) fn whole(&self, mut number: usize) -> usize {
        while let Some(into) = self.joined.get(number).and_then(|j| j.into) {
            number = into;
        }
        number
    }

    /// The epoch's rows are all there: the sessions that they joined are stored from now on. `key` gives the key of a row.
    pub(super) fn settle<'k>(&mut self, key: impl Fn(usize) -> &'k [u8]) -> Vec<Joined> {
        let joined = std::mem::take(&mut self.joined);
        for (number, session) in joined.iter().enumerate().filter(|(_, j)| j.into.is_none()) {
            let sessions = self.of_key.get_mut(key(session.row)).into_iter().flatten();
            sessions.filter(|s| s.place == Place::Joined(number)).for_each(|s| s.place = Place::Stored);
        }
        joined
    }

    /// A stored session was put back.
    pub(super) fn add(&mut self, key: &[u8], span: Span, closed: bool) {
        self.remove(key, span);
        let place = if closed { Place::Closed } else { Place::Stored };
        let sessions = self.of_key.entry(key.into()).or_default();
        if sessions.is_empty() {
            self.key_bytes += key.len();
        }
        sessions.push(Session { span, place });
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

#[cfg(test)]
mod tests;
