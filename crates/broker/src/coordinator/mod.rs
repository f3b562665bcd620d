//! The group coordinator: classic consumer groups and their committed offsets, as a state machine over observed facts.
//!
//! Pure: requests and the passing of time come in as calls with the time of day, answers go out as return values or, where a
//! member has to wait for others (JoinGroup, SyncGroup), as [`Reply`]s to the [`Ticket`] it waits with. It knows no socket, no
//! file, no clock and no wire format; the server's shell brings all that. The protocol is the one of KIP-62 with member ids
//! required (KIP-394) and static members (KIP-345).

mod group;
mod offsets;

pub use group::GroupState;
pub use offsets::{Committed, OffsetChange, OffsetKey, Offsets};

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use millstream_core::Timestamp;

use group::Group;

/// The longest session that a member may ask for (Kafka's `group.max.session.timeout.ms`).
pub const SESSION_MAX: Duration = Duration::from_secs(1800);

/// Stands for a request that is answered later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// An answer to a request that waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To a join.
    Join(Ticket, Result<Joined, JoinRefused>),
    /// To a sync.
    Sync(Ticket, Result<Synced, ResponseError>),
}

/// A member that wants to take part.
#[derive(Clone, Debug)]
pub struct Join {
    /// The group.
    pub group: String,
    /// The member's id; empty at first.
    pub member: String,
    /// Its own stable name (KIP-345).
    pub instance: Option<String>,
    /// What the client calls itself.
    pub client_id: String,
    /// Where it is.
    pub client_host: String,
    /// The kind of protocols: `consumer`.
    pub protocol_type: String,
    /// The assignment strategies that it knows, the preferred one first, each with its subscription.
    pub protocols: Vec<(String, Bytes)>,
    /// How long it may be silent.
    pub session: Duration,
    /// How long it may take to join again when the group rebalances.
    pub rebalance: Duration,
    /// Whether it can be told its id before it joins (JoinGroup version 4 and later).
    pub id_first: bool,
}

/// A generation of the group that the member is part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The generation.
    pub generation: i32,
    /// The kind of protocols.
    pub protocol_type: String,
    /// The strategy that all members know.
    pub protocol: String,
    /// The member that has to compute the assignment.
    pub leader: String,
    /// The member's own id.
    pub member: String,
    /// For the leader: all members with their subscriptions.
    pub members: Vec<JoinedMember>,
}

/// A member as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member: String,
    /// Its own stable name.
    pub instance: Option<String>,
    /// Its subscription.
    pub metadata: Bytes,
}

/// A join that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRefused {
    /// Why.
    pub error: ResponseError,
    /// The id to join with, where the error is `MemberIdRequired`; else the id that was used.
    pub member: String,
}

/// A member asks for its assignment; the leader brings everybody's.
#[derive(Clone, Debug)]
pub struct Sync {
    /// Who asks.
    pub from: Caller,
    /// The kind of protocols, where the client says it.
    pub protocol_type: Option<String>,
    /// The strategy, where the client says it.
    pub protocol: Option<String>,
    /// From the leader: each member's assignment.
    pub assignments: Vec<(String, Bytes)>,
}

/// A member's assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// The kind of protocols.
    pub protocol_type: String,
    /// The strategy.
    pub protocol: String,
    /// The assignment, opaque.
    pub assignment: Bytes,
}

/// Who speaks: a member of a generation of a group.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The group.
    pub group: String,
    /// The generation; -1 for a consumer that only stores offsets.
    pub generation: i32,
    /// The member's id.
    pub member: String,
    /// Its own stable name.
    pub instance: Option<String>,
}

/// A group as tools see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its id.
    pub group: String,
    /// Its state.
    pub state: GroupState,
    /// The kind of protocols.
    pub protocol_type: String,
    /// The strategy.
    pub protocol: String,
    /// Its members.
    pub members: Vec<MemberDescription>,
}

/// A member as tools see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberDescription {
    /// Its id.
    pub member: String,
    /// Its own stable name.
    pub instance: Option<String>,
    /// What the client calls itself.
    pub client_id: String,
    /// Where it is.
    pub client_host: String,
    /// Its subscription under the group's strategy.
    pub metadata: Bytes,
    /// Its assignment.
    pub assignment: Bytes,
}

/// All groups that have members.
#[derive(Debug)]
pub struct Coordinator {
    groups: BTreeMap<String, Group>,
    replies: Vec<Reply>,
    /// Distinguishes this process's member ids from those of earlier ones.
    run: i64,
    next_member: u64,
    groups_max: usize,
}

impl Coordinator {
    /// A coordinator without groups. `run` differs from every earlier process's (its start time, say).
    #[must_use]
    pub fn new(run: i64, groups_max: usize) -> Self {
        Self { groups: BTreeMap::new(), replies: Vec::new(), run, next_member: 0, groups_max }
    }

    /// The answers that have become ready since the last call.
    pub fn take_replies(&mut self) -> Vec<Reply> {
        std::mem::take(&mut self.replies)
    }

    /// When [`tick`](Self::tick) has something to do next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.groups.values().filter_map(Group::next_deadline).min()
    }

    /// A member joins; the answer comes to `ticket`.
    pub fn join(&mut self, now: Timestamp, ticket: Ticket, join: Join) {
        let refused = self.try_join(now, ticket, &join);
        if let Err(error) = refused {
            self.replies.push(Reply::Join(ticket, Err(error)));
        }
        self.drop_if_unused(&join.group);
    }

    fn try_join(&mut self, now: Timestamp, ticket: Ticket, join: &Join) -> Result<(), JoinRefused> {
        let refuse = |error| Err(JoinRefused { error, member: join.member.clone() });
        if join.group.is_empty() {
            return refuse(ResponseError::InvalidGroupId);
        }
        if join.session.is_zero() || join.session > SESSION_MAX {
            return refuse(ResponseError::InvalidSessionTimeout);
        }
        if !self.groups.contains_key(&join.group) {
            if !join.member.is_empty() {
                return refuse(ResponseError::UnknownMemberId);
            }
            if self.groups.len() >= self.groups_max {
                return refuse(ResponseError::GroupMaxSizeReached);
            }
        }
        self.next_member += 1;
        let client = if join.client_id.is_empty() { "member" } else { &join.client_id };
        let fresh_id = format!("{client}-{:x}-{}", self.run, self.next_member);
        let group = self.groups.entry(join.group.clone()).or_default();
        group.join(now, ticket, join, fresh_id, &mut self.replies)
    }

    /// A member asks for its assignment; the answer comes to `ticket`.
    pub fn sync(&mut self, now: Timestamp, ticket: Ticket, sync: &Sync) {
        let refused = match self.groups.get_mut(&sync.from.group) {
            None => Err(ResponseError::UnknownMemberId),
            Some(group) => group.sync(now, ticket, sync, &mut self.replies),
        };
        if let Err(error) = refused {
            self.replies.push(Reply::Sync(ticket, Err(error)));
        }
    }

    /// A member says that it is alive. `RebalanceInProgress` tells it to join again.
    pub fn heartbeat(&mut self, now: Timestamp, from: &Caller) -> Result<(), ResponseError> {
        self.groups.get_mut(&from.group).ok_or(ResponseError::UnknownMemberId)?.heartbeat(now, from)
    }

    /// A member leaves: `member`, or the one with this `instance` name where `member` is empty.
    pub fn leave(&mut self, now: Timestamp, group: &str, member: &str, instance: Option<&str>) -> Result<(), ResponseError> {
        let left = match self.groups.get_mut(group) {
            None => Err(ResponseError::UnknownMemberId),
            Some(found) => found.leave(now, member, instance, &mut self.replies),
        };
        self.drop_if_unused(group);
        left
    }

    /// Whether `from` may store offsets. A consumer without membership may while the group has no members.
    pub fn check_commit(&mut self, now: Timestamp, from: &Caller) -> Result<(), ResponseError> {
        if from.group.is_empty() {
            return Err(ResponseError::InvalidGroupId);
        }
        match self.groups.get_mut(&from.group) {
            None if from.generation < 0 => Ok(()),
            None => Err(ResponseError::IllegalGeneration),
            Some(group) => group.check_commit(now, from),
        }
    }

    /// Lets time pass: members whose session has ended are removed, and rebalances that waited long enough are completed.
    pub fn tick(&mut self, now: Timestamp) {
        for group in self.groups.values_mut() {
            group.tick(now, &mut self.replies);
        }
        self.groups.retain(|_, g| !g.is_unused());
    }

    /// Every group that has members.
    #[must_use]
    pub fn list(&self) -> Vec<GroupDescription> {
        self.groups.iter().map(|(id, g)| g.describe(id)).collect()
    }

    /// The group `id`, if it has members.
    #[must_use]
    pub fn describe(&self, id: &str) -> Option<GroupDescription> {
        self.groups.get(id).map(|g| g.describe(id))
    }

    fn drop_if_unused(&mut self, group: &str) {
        if self.groups.get(group).is_some_and(Group::is_unused) {
            self.groups.remove(group);
        }
    }
}

#[cfg(test)]
mod tests;
