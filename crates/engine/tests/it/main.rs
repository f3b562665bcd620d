//! The engine on toy ports: golden streams run straight, in pieces, through crashes, with duplicates and late rows, compared with
//! what a few lines of plain Rust make of the same events.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod aggregates;
mod chained;
mod changed;
mod changed_references;
mod commits;
mod crashes;
mod damaged;
mod events;
mod exploded;
mod formats;
mod joined_reports;
mod joins;
mod logs;
mod lookups;
mod oracle;
mod outages;
mod partitions;
mod quarantine;
mod relational;
mod replays;
mod rewound;
mod sessions;
mod sliding;
mod spilled;
mod spilled_joins;
mod steps;
mod straight;
mod topics;
mod torn;
mod torn_topics;
mod verification;
mod world;
mod written_protobuf;
