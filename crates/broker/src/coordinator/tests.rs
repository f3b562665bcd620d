#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

const T0: Timestamp = Timestamp(1_000_000_000);
const SESSION: Duration = Duration::from_secs(10);
const REBALANCE: Duration = Duration::from_secs(30);

fn at(seconds: u64) -> Timestamp {
    T0.plus(Duration::from_secs(seconds))
}

fn join(member: &str, protocols: &[&str]) -> Join {
    Join {
        group: "g".to_owned(),
        member: member.to_owned(),
        instance: None,
        client_id: "c".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: protocols.iter().map(|p| ((*p).to_owned(), Bytes::from(format!("{p} of {member}")))).collect(),
        session: SESSION,
        rebalance: REBALANCE,
        id_first: true,
    }
}

fn caller(member: &str, generation: i32) -> Caller {
    Caller { group: "g".to_owned(), generation, member: member.to_owned(), instance: None }
}

fn sync(member: &str, generation: i32, assignments: &[(&str, &'static str)]) -> Sync {
    let assignments = assignments.iter().map(|(m, a)| ((*m).to_owned(), Bytes::from_static(a.as_bytes()))).collect();
    Sync { from: caller(member, generation), protocol_type: None, protocol: None, assignments }
}

/// A coordinator with what it answered.
struct Driven {
    coordinator: Coordinator,
    tickets: u64,
}

impl Driven {
    fn new() -> Self {
        Self { coordinator: Coordinator::new(7, 100), tickets: 0 }
    }

    fn join(&mut self, now: Timestamp, join: Join) -> Ticket {
        self.tickets += 1;
        self.coordinator.join(now, Ticket(self.tickets), join);
        Ticket(self.tickets)
    }

    fn sync(&mut self, now: Timestamp, sync: &Sync) -> Ticket {
        self.tickets += 1;
        self.coordinator.sync(now, Ticket(self.tickets), sync);
        Ticket(self.tickets)
    }

    fn joined(&mut self) -> Vec<(Ticket, Joined)> {
        let replies = self.coordinator.take_replies().into_iter();
        replies.map(|r| if let Reply::Join(t, Ok(j)) = r { (t, j) } else { panic!("{r:?}") }).collect()
    }

    fn refused(&mut self) -> JoinRefused {
        match self.coordinator.take_replies().as_slice() {
            [Reply::Join(_, Err(refused))] => refused.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn synced(&mut self) -> Vec<(Ticket, Result<String, ResponseError>)> {
        let text = |s: Synced| String::from_utf8(s.assignment.to_vec()).unwrap();
        let replies = self.coordinator.take_replies().into_iter();
        replies.map(|r| if let Reply::Sync(t, s) = r { (t, s.map(text)) } else { panic!("{r:?}") }).collect()
    }

    /// A member's id, as JoinGroup gives it out first.
    fn id(&mut self, now: Timestamp, protocols: &[&str]) -> String {
        self.join(now, join("", protocols));
        let refused = self.refused();
        assert_eq!(refused.error, ResponseError::MemberIdRequired);
        refused.member
    }

    /// A stable group of one member; gives its id. The generation is 1.
    fn one_member(&mut self) -> String {
        let id = self.id(T0, &["range"]);
        self.join(T0, join(&id, &["range"]));
        assert_eq!(self.joined()[0].1.generation, 1);
        self.sync(T0, &sync(&id, 1, &[(&id, "all")]));
        assert_eq!(self.synced()[0].1, Ok("all".to_owned()));
        id
    }
}

#[test]
fn a_first_member_is_told_its_id_and_then_leads() {
    let mut d = Driven::new();
    let id = d.id(T0, &["range"]);
    let ticket = d.join(T0, join(&id, &["range"]));
    let joined = d.joined();
    assert_eq!(joined[0].0, ticket);
    let joined = &joined[0].1;
    assert_eq!((joined.generation, &joined.leader, &joined.member, joined.protocol.as_str()), (1, &id, &id, "range"));
    assert_eq!(joined.members.len(), 1);
    assert_eq!(joined.members[0].metadata, format!("range of {id}"));
}

#[test]
fn an_old_client_joins_without_being_told_its_id() {
    let mut d = Driven::new();
    d.join(T0, Join { id_first: false, ..join("", &["range"]) });
    assert!(!d.joined()[0].1.member.is_empty());
}

#[test]
fn a_second_member_makes_the_first_join_again() {
    let mut d = Driven::new();
    let first = d.one_member();
    let second = d.id(at(1), &["range"]);
    assert_eq!(d.coordinator.heartbeat(at(1), &caller(&first, 1)), Ok(()), "nothing changes until it has joined");
    let t2 = d.join(at(2), join(&second, &["range"]));
    assert!(d.coordinator.take_replies().is_empty(), "it waits for the first");
    assert_eq!(d.coordinator.heartbeat(at(2), &caller(&first, 1)), Err(ResponseError::RebalanceInProgress));
    let t1 = d.join(at(3), join(&first, &["range"]));
    let joined = d.joined();
    assert_eq!(joined.len(), 2);
    for (ticket, joined) in joined {
        assert_eq!((joined.generation, joined.leader == first), (2, true));
        assert_eq!(joined.members.len(), if ticket == t1 { 2 } else { 0 }, "only the leader sees the members");
    }
    let s2 = d.sync(at(4), &sync(&second, 2, &[]));
    assert!(d.coordinator.take_replies().is_empty(), "a follower waits for the leader");
    let s1 = d.sync(at(4), &sync(&first, 2, &[(&first, "0,1"), (&second, "2,3")]));
    let mut synced = d.synced();
    synced.sort_by_key(|(t, _)| *t);
    assert_eq!(synced, [(s2, Ok("2,3".to_owned())), (s1, Ok("0,1".to_owned()))]);
    assert_ne!(t1, t2);
    let described = d.coordinator.describe("g").unwrap();
    assert_eq!((described.state, described.members.len()), (GroupState::Stable, 2));
}

#[test]
fn a_silent_member_is_removed_when_its_session_ends() {
    let mut d = Driven::new();
    let id = d.one_member();
    assert_eq!(d.coordinator.next_deadline(), Some(at(10)));
    d.coordinator.heartbeat(at(9), &caller(&id, 1)).unwrap();
    d.coordinator.tick(at(18));
    assert!(d.coordinator.describe("g").is_some());
    d.coordinator.tick(at(19));
    assert!(d.coordinator.describe("g").is_none());
    assert_eq!(d.coordinator.heartbeat(at(19), &caller(&id, 1)), Err(ResponseError::UnknownMemberId));
}

#[test]
fn who_does_not_join_again_in_time_is_left_behind() {
    let mut d = Driven::new();
    let first = d.one_member();
    let second = d.id(at(1), &["range"]);
    d.join(at(1), join(&second, &["range"]));
    for s in [9, 18, 27, 30] {
        assert_eq!(d.coordinator.heartbeat(at(s), &caller(&first, 1)), Err(ResponseError::RebalanceInProgress));
        d.coordinator.tick(at(s));
        assert!(d.coordinator.take_replies().is_empty(), "at {s}");
    }
    d.coordinator.tick(at(31));
    let joined = d.joined();
    assert_eq!((joined.len(), joined[0].1.generation, joined[0].1.leader == second), (1, 2, true));
    assert_eq!(d.coordinator.heartbeat(at(32), &caller(&first, 1)), Err(ResponseError::UnknownMemberId));
}

#[test]
fn a_leader_that_never_assigns_is_replaced() {
    let mut d = Driven::new();
    let first = d.one_member();
    let second = d.id(at(1), &["range"]);
    d.join(at(1), join(&second, &["range"]));
    d.join(at(1), join(&first, &["range"]));
    d.joined();
    let waiting = d.sync(at(1), &sync(&second, 2, &[]));
    d.coordinator.tick(at(11));
    assert_eq!(d.synced(), [(waiting, Err(ResponseError::RebalanceInProgress))], "the leader's session has ended");
    d.join(at(12), join(&second, &["range"]));
    assert_eq!(d.joined()[0].1.leader, second);
}

#[test]
fn a_member_that_leaves_starts_a_rebalance() {
    let mut d = Driven::new();
    let first = d.one_member();
    let second = d.id(at(1), &["range"]);
    d.join(at(1), join(&second, &["range"]));
    d.join(at(1), join(&first, &["range"]));
    d.joined();
    d.sync(at(1), &sync(&first, 2, &[]));
    d.sync(at(1), &sync(&second, 2, &[]));
    d.synced();
    d.coordinator.leave(at(2), "g", &first, None).unwrap();
    assert_eq!(d.coordinator.heartbeat(at(2), &caller(&second, 2)), Err(ResponseError::RebalanceInProgress));
    d.join(at(2), join(&second, &["range"]));
    assert_eq!(d.joined()[0].1.generation, 3);
    assert_eq!(d.coordinator.leave(at(2), "g", &first, None), Err(ResponseError::UnknownMemberId));
    d.coordinator.leave(at(3), "g", &second, None).unwrap();
    assert!(d.coordinator.list().is_empty(), "an empty group takes no memory");
}

#[test]
fn wrong_generations_and_strangers_are_refused() {
    let mut d = Driven::new();
    let id = d.one_member();
    assert_eq!(d.coordinator.heartbeat(T0, &caller(&id, 2)), Err(ResponseError::IllegalGeneration));
    assert_eq!(d.coordinator.heartbeat(T0, &caller("x", 1)), Err(ResponseError::UnknownMemberId));
    d.sync(T0, &sync(&id, 0, &[]));
    assert_eq!(d.synced()[0].1, Err(ResponseError::IllegalGeneration));
    d.join(T0, join("x", &["range"]));
    assert_eq!(d.refused().error, ResponseError::UnknownMemberId);
    d.join(T0, Join { session: Duration::ZERO, ..join("", &["range"]) });
    assert_eq!(d.refused().error, ResponseError::InvalidSessionTimeout);
    d.join(T0, Join { group: String::new(), ..join("", &["range"]) });
    assert_eq!(d.refused().error, ResponseError::InvalidGroupId);
}

#[test]
fn members_must_share_a_strategy() {
    let mut d = Driven::new();
    d.one_member();
    d.join(T0, join("", &["sticky"]));
    assert_eq!(d.refused().error, ResponseError::InconsistentGroupProtocol);
    d.join(T0, Join { protocol_type: "connect".to_owned(), ..join("", &["range"]) });
    assert_eq!(d.refused().error, ResponseError::InconsistentGroupProtocol);
    d.join(T0, join("", &[]));
    assert_eq!(d.refused().error, ResponseError::InconsistentGroupProtocol);
}

#[test]
fn the_strategy_that_most_prefer_is_taken() {
    let mut d = Driven::new();
    let a = d.id(T0, &["range", "sticky"]);
    d.join(T0, join(&a, &["range", "sticky"]));
    d.joined();
    for protocols in [["sticky", "range"], ["sticky", "range"]] {
        let id = d.id(T0, &protocols);
        d.join(T0, join(&id, &protocols));
    }
    d.join(T0, join(&a, &["range", "sticky"]));
    let ids: Vec<_> = d.coordinator.take_replies();
    let last = ids.iter().filter_map(|r| if let Reply::Join(_, Ok(j)) = r { Some(j) } else { None }).next_back().unwrap();
    assert_eq!(last.protocol, "sticky");
}

#[test]
fn commits_are_for_members_of_the_generation_or_for_empty_groups() {
    let mut d = Driven::new();
    assert_eq!(d.coordinator.check_commit(T0, &caller("", -1)), Ok(()), "a simple consumer");
    assert_eq!(d.coordinator.check_commit(T0, &caller("x", 3)), Err(ResponseError::IllegalGeneration));
    let id = d.one_member();
    assert_eq!(d.coordinator.check_commit(T0, &caller(&id, 1)), Ok(()));
    assert_eq!(d.coordinator.check_commit(T0, &caller(&id, 0)), Err(ResponseError::IllegalGeneration));
    assert_eq!(d.coordinator.check_commit(T0, &caller("", -1)), Err(ResponseError::UnknownMemberId));
}

#[test]
fn a_static_member_comes_back_under_its_name_and_fences_its_older_self() {
    let mut d = Driven::new();
    let named = |member: &str| Join { instance: Some("i".to_owned()), ..join(member, &["range"]) };
    d.join(T0, named(""));
    let old = d.joined()[0].1.member.clone();
    d.sync(T0, &Sync { from: Caller { instance: Some("i".to_owned()), ..caller(&old, 1) }, ..sync(&old, 1, &[]) });
    d.synced();
    d.join(at(1), named(""));
    let new = d.joined()[0].1.clone();
    assert_ne!(new.member, old);
    assert_eq!(d.coordinator.describe("g").unwrap().members.len(), 1);
    let old_self = Caller { instance: Some("i".to_owned()), ..caller(&old, 1) };
    assert_eq!(d.coordinator.heartbeat(at(1), &old_self), Err(ResponseError::FencedInstanceId));
    assert_eq!(d.coordinator.leave(at(2), "g", "", Some("i")), Ok(()));
}

#[test]
fn a_promised_id_lapses() {
    let mut d = Driven::new();
    let id = d.id(T0, &["range"]);
    d.coordinator.tick(at(10));
    d.join(at(11), join(&id, &["range"]));
    assert_eq!(d.refused().error, ResponseError::UnknownMemberId);
    assert!(d.coordinator.list().is_empty());
}

#[test]
fn the_number_of_groups_is_bounded() {
    let mut coordinator = Coordinator::new(1, 1);
    coordinator.join(T0, Ticket(1), join("", &["range"]));
    coordinator.join(T0, Ticket(2), Join { group: "h".to_owned(), ..join("", &["range"]) });
    let replies = coordinator.take_replies();
    let Reply::Join(Ticket(2), Err(refused)) = &replies[1] else { panic!("{replies:?}") };
    assert_eq!(refused.error, ResponseError::GroupMaxSizeReached);
}
