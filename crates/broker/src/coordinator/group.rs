//! One consumer group: its members, and the rebalance they go through together.
//!
//! `Empty` → (a member joins) → `PreparingRebalance` → (all have joined, or time is up) → `CompletingRebalance` → (the leader
//! brings the assignment) → `Stable`; any change of members leads back to `PreparingRebalance`.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use millstream_core::Timestamp;

use super::{Caller, GroupDescription, Join, JoinRefused, Joined, JoinedMember, MemberDescription, Reply, Sync, Synced, Ticket};

/// Where a group stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupState {
    /// It has no members.
    #[default]
    Empty,
    /// Members are joining.
    PreparingRebalance,
    /// The leader computes the assignment.
    CompletingRebalance,
    /// Every member has its assignment.
    Stable,
}

impl GroupState {
    /// Kafka's name for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

#[derive(Debug)]
struct Member {
    instance: Option<String>,
    client_id: String,
    client_host: String,
    protocols: Vec<(String, Bytes)>,
    session: Duration,
    rebalance: Duration,
    expires: Timestamp,
    assignment: Bytes,
    joining: Option<Ticket>,
    syncing: Option<Ticket>,
}

impl Member {
    fn knows(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|(name, _)| name == protocol)
    }

    fn metadata(&self, protocol: &str) -> Bytes {
        self.protocols.iter().find(|(name, _)| name == protocol).map(|(_, m)| m.clone()).unwrap_or_default()
    }

    fn is_waiting(&self) -> bool {
        self.joining.is_some() || self.syncing.is_some()
    }
}

/// A group with its members.
#[derive(Debug, Default)]
pub struct Group {
    state: GroupState,
    generation: i32,
    protocol_type: String,
    protocol: String,
    leader: String,
    members: BTreeMap<String, Member>,
    /// Ids that were told to members who have not joined with them yet, and when they lapse.
    promised: BTreeMap<String, Timestamp>,
    /// When the current phase of a rebalance ends at the latest.
    deadline: Option<Timestamp>,
}

impl Group {
    pub fn is_unused(&self) -> bool {
        self.members.is_empty() && self.promised.is_empty()
    }

    pub fn next_deadline(&self) -> Option<Timestamp> {
        let sessions = self.members.values().filter(|m| !m.is_waiting()).map(|m| m.expires);
        sessions.chain(self.promised.values().copied()).chain(self.deadline).min()
    }

    pub fn join(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        join: &Join,
        fresh_id: String,
        replies: &mut Vec<Reply>,
    ) -> Result<(), JoinRefused> {
        let refuse = |error| JoinRefused { error, member: join.member.clone() };
        self.check_protocols(join).map_err(refuse)?;
        if join.member.is_empty() {
            let namesake = join.instance.as_ref().and_then(|i| self.member_with_instance(i));
            if let Some(old) = namesake {
                self.replace_static(&old, &fresh_id, replies);
                return self.rejoin(now, ticket, join, fresh_id, replies);
            }
            if join.id_first && join.instance.is_none() {
                self.promised.insert(fresh_id.clone(), now.plus(join.session));
                return Err(JoinRefused { error: ResponseError::MemberIdRequired, member: fresh_id });
            }
            self.add(now, ticket, join, fresh_id, replies);
            return Ok(());
        }
        if self.promised.remove(&join.member).is_some() {
            self.add(now, ticket, join, join.member.clone(), replies);
            return Ok(());
        }
        self.find(&join.member, join.instance.as_deref()).map_err(refuse)?;
        self.rejoin(now, ticket, join, join.member.clone(), replies)
    }

    fn check_protocols(&self, join: &Join) -> Result<(), ResponseError> {
        let others = || self.members.iter().filter(|(id, m)| **id != join.member && (m.instance.is_none() || m.instance != join.instance));
        let shared = |name: &str| others().all(|(_, m)| m.knows(name));
        let fits = !join.protocols.is_empty()
            && !join.protocol_type.is_empty()
            && (others().next().is_none() || join.protocol_type == self.protocol_type)
            && join.protocols.iter().any(|(name, _)| shared(name));
        if fits { Ok(()) } else { Err(ResponseError::InconsistentGroupProtocol) }
    }

    fn member_with_instance(&self, instance: &str) -> Option<String> {
        self.members.iter().find(|(_, m)| m.instance.as_deref() == Some(instance)).map(|(id, _)| id.clone())
    }

    /// The member `id`; a static member that was replaced by a newer process of the same name is fenced.
    fn find(&mut self, id: &str, instance: Option<&str>) -> Result<&mut Member, ResponseError> {
        if let Some(name) = instance
            && let Some(current) = self.member_with_instance(name)
            && current != id
        {
            return Err(ResponseError::FencedInstanceId);
        }
        self.members.get_mut(id).ok_or(ResponseError::UnknownMemberId)
    }

    fn replace_static(&mut self, old: &str, new: &str, replies: &mut Vec<Reply>) {
        if let Some(mut member) = self.members.remove(old) {
            if let Some(ticket) = member.joining.take() {
                let fenced = JoinRefused { error: ResponseError::FencedInstanceId, member: old.to_owned() };
                replies.push(Reply::Join(ticket, Err(fenced)));
            }
            if let Some(ticket) = member.syncing.take() {
                replies.push(Reply::Sync(ticket, Err(ResponseError::FencedInstanceId)));
            }
            self.members.insert(new.to_owned(), member);
        }
        if self.leader == old {
            new.clone_into(&mut self.leader);
        }
    }

    fn add(&mut self, now: Timestamp, ticket: Ticket, join: &Join, id: String, replies: &mut Vec<Reply>) {
        if self.members.is_empty() {
            self.protocol_type.clone_from(&join.protocol_type);
        }
        let member = Member {
            instance: join.instance.clone(),
            client_id: join.client_id.clone(),
            client_host: join.client_host.clone(),
            protocols: join.protocols.clone(),
            session: join.session,
            rebalance: join.rebalance,
            expires: now.plus(join.session),
            assignment: Bytes::new(),
            joining: Some(ticket),
            syncing: None,
        };
        self.members.insert(id, member);
        self.begin_rebalance(now, replies);
    }

    fn rejoin(&mut self, now: Timestamp, ticket: Ticket, join: &Join, id: String, replies: &mut Vec<Reply>) -> Result<(), JoinRefused> {
        let Some(member) = self.members.get_mut(&id) else {
            return Err(JoinRefused { error: ResponseError::UnknownMemberId, member: id });
        };
        let unchanged = member.protocols == join.protocols && !join.member.is_empty();
        member.protocols.clone_from(&join.protocols);
        member.session = join.session;
        member.rebalance = join.rebalance;
        member.client_id.clone_from(&join.client_id);
        member.client_host.clone_from(&join.client_host);
        member.expires = now.plus(join.session);
        // A follower that lost the answer gets it again; a leader that joins again wants a rebalance.
        let repeat = match self.state {
            GroupState::CompletingRebalance => unchanged,
            GroupState::Stable => unchanged && self.leader != id,
            GroupState::Empty | GroupState::PreparingRebalance => false,
        };
        if repeat {
            replies.push(Reply::Join(ticket, Ok(self.joined(&id))));
            return Ok(());
        }
        if let Some(older) = member.joining.replace(ticket) {
            let refused = JoinRefused { error: ResponseError::RebalanceInProgress, member: id };
            replies.push(Reply::Join(older, Err(refused)));
        }
        self.begin_rebalance(now, replies);
        Ok(())
    }

    fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|m| m.rebalance).max().unwrap_or_default()
    }

    fn begin_rebalance(&mut self, now: Timestamp, replies: &mut Vec<Reply>) {
        if self.state != GroupState::PreparingRebalance {
            self.state = GroupState::PreparingRebalance;
            self.deadline = Some(now.plus(self.rebalance_timeout()));
            for member in self.members.values_mut() {
                member.assignment = Bytes::new();
                if let Some(ticket) = member.syncing.take() {
                    member.expires = now.plus(member.session);
                    replies.push(Reply::Sync(ticket, Err(ResponseError::RebalanceInProgress)));
                }
            }
        }
        self.complete_join_if_all_are_here(now, replies);
    }

    fn complete_join_if_all_are_here(&mut self, now: Timestamp, replies: &mut Vec<Reply>) {
        if self.promised.is_empty() && self.members.values().all(|m| m.joining.is_some()) {
            self.complete_join(now, replies);
        }
    }

    /// Begins a new generation with the members that have joined.
    fn complete_join(&mut self, now: Timestamp, replies: &mut Vec<Reply>) {
        self.members.retain(|_, m| m.joining.is_some());
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.deadline = None;
        if self.members.is_empty() {
            self.state = GroupState::Empty;
            self.leader.clear();
            self.protocol.clear();
            return;
        }
        self.state = GroupState::CompletingRebalance;
        self.deadline = Some(now.plus(self.rebalance_timeout()));
        self.protocol = self.elect_protocol();
        if !self.members.contains_key(&self.leader) {
            self.leader = self.members.keys().next().cloned().unwrap_or_default();
        }
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let joined = self.joined(&id);
            if let Some(member) = self.members.get_mut(&id)
                && let Some(ticket) = member.joining.take()
            {
                member.expires = now.plus(member.session);
                replies.push(Reply::Join(ticket, Ok(joined)));
            }
        }
    }

    /// Of the strategies that all members know, the one that most of them prefer.
    fn elect_protocol(&self) -> String {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let candidate =
                member.protocols.iter().map(|(name, _)| name.as_str()).find(|name| self.members.values().all(|m| m.knows(name)));
            if let Some(name) = candidate {
                *votes.entry(name).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|(_, n)| *n).map(|(name, _)| name.to_owned()).unwrap_or_default()
    }

    fn joined(&self, id: &str) -> Joined {
        let as_seen = |(member, m): (&String, &Member)| JoinedMember {
            member: member.clone(),
            instance: m.instance.clone(),
            metadata: m.metadata(&self.protocol),
        };
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            member: id.to_owned(),
            members: if id == self.leader { self.members.iter().map(as_seen).collect() } else { Vec::new() },
        }
    }

    fn check_generation(&mut self, from: &Caller) -> Result<(), ResponseError> {
        self.find(&from.member, from.instance.as_deref())?;
        if from.generation == self.generation { Ok(()) } else { Err(ResponseError::IllegalGeneration) }
    }

    pub fn sync(&mut self, now: Timestamp, ticket: Ticket, sync: &Sync, replies: &mut Vec<Reply>) -> Result<(), ResponseError> {
        self.check_generation(&sync.from)?;
        let differs = |said: &Option<String>, ours: &str| said.as_deref().is_some_and(|s| s != ours);
        if differs(&sync.protocol_type, &self.protocol_type) || differs(&sync.protocol, &self.protocol) {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        let id = &sync.from.member;
        match self.state {
            GroupState::Empty => return Err(ResponseError::UnknownMemberId),
            GroupState::PreparingRebalance => return Err(ResponseError::RebalanceInProgress),
            GroupState::CompletingRebalance => {
                if let Some(older) = self.members.get_mut(id).and_then(|m| m.syncing.replace(ticket)) {
                    replies.push(Reply::Sync(older, Err(ResponseError::RebalanceInProgress)));
                }
                if *id == self.leader {
                    self.assign(now, &sync.assignments, replies);
                }
            }
            GroupState::Stable => {
                let assignment = self.members.get(id).map(|m| m.assignment.clone()).unwrap_or_default();
                replies.push(Reply::Sync(ticket, Ok(self.synced(assignment))));
            }
        }
        Ok(())
    }

    fn assign(&mut self, now: Timestamp, assignments: &[(String, Bytes)], replies: &mut Vec<Reply>) {
        for (id, assignment) in assignments {
            if let Some(member) = self.members.get_mut(id) {
                member.assignment = assignment.clone();
            }
        }
        self.state = GroupState::Stable;
        self.deadline = None;
        let mut ready = Vec::new();
        for member in self.members.values_mut() {
            member.expires = now.plus(member.session);
            if let Some(ticket) = member.syncing.take() {
                ready.push((ticket, member.assignment.clone()));
            }
        }
        replies.extend(ready.into_iter().map(|(ticket, assignment)| Reply::Sync(ticket, Ok(self.synced(assignment)))));
    }

    fn synced(&self, assignment: Bytes) -> Synced {
        Synced { protocol_type: self.protocol_type.clone(), protocol: self.protocol.clone(), assignment }
    }

    pub fn heartbeat(&mut self, now: Timestamp, from: &Caller) -> Result<(), ResponseError> {
        self.check_generation(from)?;
        if let Some(member) = self.members.get_mut(&from.member) {
            member.expires = now.plus(member.session);
        }
        if self.state == GroupState::PreparingRebalance { Err(ResponseError::RebalanceInProgress) } else { Ok(()) }
    }

    pub fn check_commit(&mut self, now: Timestamp, from: &Caller) -> Result<(), ResponseError> {
        if from.generation < 0 && from.member.is_empty() {
            return if self.members.is_empty() { Ok(()) } else { Err(ResponseError::UnknownMemberId) };
        }
        self.check_generation(from)?;
        if self.state == GroupState::CompletingRebalance {
            return Err(ResponseError::RebalanceInProgress);
        }
        if let Some(member) = self.members.get_mut(&from.member) {
            member.expires = now.plus(member.session);
        }
        Ok(())
    }

    pub fn leave(&mut self, now: Timestamp, member: &str, instance: Option<&str>, replies: &mut Vec<Reply>) -> Result<(), ResponseError> {
        if self.promised.remove(member).is_some() {
            self.after_removal(now, false, replies);
            return Ok(());
        }
        let id = match instance {
            Some(name) if member.is_empty() => self.member_with_instance(name).ok_or(ResponseError::UnknownMemberId)?,
            _ => member.to_owned(),
        };
        self.find(&id, instance)?;
        self.remove(&id, replies);
        self.after_removal(now, true, replies);
        Ok(())
    }

    fn remove(&mut self, id: &str, replies: &mut Vec<Reply>) {
        let Some(member) = self.members.remove(id) else {
            return;
        };
        if let Some(ticket) = member.joining {
            let refused = JoinRefused { error: ResponseError::UnknownMemberId, member: id.to_owned() };
            replies.push(Reply::Join(ticket, Err(refused)));
        }
        if let Some(ticket) = member.syncing {
            replies.push(Reply::Sync(ticket, Err(ResponseError::UnknownMemberId)));
        }
    }

    fn after_removal(&mut self, now: Timestamp, member_left: bool, replies: &mut Vec<Reply>) {
        match self.state {
            GroupState::PreparingRebalance => self.complete_join_if_all_are_here(now, replies),
            GroupState::Stable | GroupState::CompletingRebalance if member_left => self.begin_rebalance(now, replies),
            _ => {}
        }
    }

    pub fn tick(&mut self, now: Timestamp, replies: &mut Vec<Reply>) {
        let promised = self.promised.len();
        self.promised.retain(|_, lapses| *lapses > now);
        let silent: Vec<String> =
            self.members.iter().filter(|(_, m)| !m.is_waiting() && m.expires <= now).map(|(id, _)| id.clone()).collect();
        for id in &silent {
            self.remove(id, replies);
        }
        if !silent.is_empty() || promised > self.promised.len() {
            self.after_removal(now, !silent.is_empty(), replies);
        }
        if self.deadline.is_none_or(|d| d > now) {
            return;
        }
        match self.state {
            GroupState::PreparingRebalance => {
                self.promised.clear();
                self.complete_join(now, replies);
            }
            GroupState::CompletingRebalance => self.give_up_on_assignment(now, replies),
            GroupState::Empty | GroupState::Stable => self.deadline = None,
        }
    }

    /// The leader, or some follower, never asked for its assignment: it goes, and the others begin again.
    fn give_up_on_assignment(&mut self, now: Timestamp, replies: &mut Vec<Reply>) {
        let silent: Vec<String> = self.members.iter().filter(|(_, m)| m.syncing.is_none()).map(|(id, _)| id.clone()).collect();
        for id in &silent {
            self.remove(id, replies);
        }
        self.begin_rebalance(now, replies);
    }

    pub fn describe(&self, group: &str) -> GroupDescription {
        let member = |(id, m): (&String, &Member)| MemberDescription {
            member: id.clone(),
            instance: m.instance.clone(),
            client_id: m.client_id.clone(),
            client_host: m.client_host.clone(),
            metadata: m.metadata(&self.protocol),
            assignment: m.assignment.clone(),
        };
        GroupDescription {
            group: group.to_owned(),
            state: self.state,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            members: self.members.iter().map(member).collect(),
        }
    }
}
