//! Cache-aside: answers to reads are kept in memory until a write to what they were read from, or until they are too old.
//!
//! A fill never overwrites a newer invalidation. [`Generations`] holds counters; each cached answer belongs to one of them (that
//! of its table and partition key), is filed under the count that stood *before* the store was read, and is found only under
//! the count that stands now. A write counts up *after* the store committed. So an answer that was read before a write can be
//! filed after it, but nobody finds it there; and whoever asks after a write never joins a read that began before it.
//!
//! [`policy`] decides how long an answer is good for and does nothing else; [`reads`] keeps the answers; [`invalidating`] wraps the
//! stores that the engine writes to. Writes by another process aren't seen here: for those an answer's age is the bound.
//!
//! Critical events have a cache of their own, the critical store: [`critical`] asks it, and [`breaker`] decides when it is left alone.

pub(crate) mod breaker;
pub(crate) mod critical;
mod generations;
mod invalidating;
mod policy;
pub(crate) mod reads;

pub use generations::{Generations, Slot};
pub use invalidating::{InvalidatingCriticalStore, InvalidatingEventStore, InvalidatingReportStore, Invalidations};
pub use policy::{CachePolicy, Freshness, Lifetime};
