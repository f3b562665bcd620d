#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
use std::collections::BTreeMap;

use millstream_core::{FlowId, Version};
use millstream_pipeline::{SourceFile, parse};

use super::facts::KnownFlow;
use super::*;
use crate::flow::checkpoint::{Header, MadeOf};
use crate::source::{PartitionState, SourcePosition, SourceState};

const PIPELINE: &str = "
CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL, value INT)
USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');
CREATE STREAMING TABLE by_meter USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'id')
AS SELECT meter, id, value FROM STREAM readings WHERE value > 0;
CREATE STREAMING TABLE hourly USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT meter, window.start AS hour, count(*) AS n FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 HOUR
   GROUP BY meter, window(ts, '1 hour') HAVING count(*) > 1;
CREATE STREAMING TABLE high USING redis TBLPROPERTIES ('key' = 'meter, id') AS SELECT * FROM STREAM by_meter WHERE value >= 90;
";

fn checked(sql: &str) -> Pipeline {
    let file = SourceFile { name: "pipeline.sql".to_owned(), text: sql.to_owned() };
    parse(&[file]).unwrap().check(&BTreeMap::new()).unwrap_or_else(|e| panic!("{}", e.render(false)))
}

/// What is there when `pipeline` has run up to epoch 7.
fn ran(pipeline: &Pipeline) -> Facts {
    let header = |signature| Header {
        signature: Some(signature),
        fingerprint: None,
        source: SourceState {
            partitions: vec![PartitionState { position: SourcePosition::Offset(5), version: Version(1) }; 2],
            starts: Vec::new(),
        },
        watermark: None,
        version_bound: Version(0),
        reach: None,
        base: Epoch(7),
        altered: None,
        reports: None,
        data: None,
        repetition: None,
        made_of: None,
        emitted: None,
    };
    let known = |f: &millstream_pipeline::graph::Flow| {
        let log = Some("log 1".to_owned());
        (f.id.clone(), KnownFlow { newest: Some((Epoch(7), header(f.signature.clone()))), unreadable: 0, log })
    };
    Facts {
        tables: Some(identity::describe(pipeline)),
        flows: pipeline.flows.iter().map(known).collect(),
        log: Some("log 1".to_owned()),
        topics: BTreeMap::from([("readings".to_owned(), vec![(0, 9), (0, 8)])]),
    }
}

/// The verdicts on the flows and the tables that aren't kept, and whether all goes on, when `from` stands as `to`.
fn changed(from: &str, to: &str) -> (Vec<String>, ChangePlan) {
    assert!(PIPELINE.contains(from), "{from}");
    let plan = decide(&checked(&PIPELINE.replacen(from, to, 1)), &ran(&checked(PIPELINE)));
    let flows = plan.flows.iter().filter(|f| f.verdict != FlowVerdict::Kept).map(|f| format!("flow {} {}", f.flow, f.verdict.as_str()));
    let tables =
        plan.tables.iter().filter(|t| t.verdict != TableVerdict::Kept).map(|t| format!("table {} {}", t.table, t.verdict.as_str()));
    (flows.chain(tables).collect(), plan)
}

#[test]
fn the_same_pipeline_goes_on() {
    let (differing, plan) = changed("value > 0", "value > 0");
    assert_eq!((differing, plan.is_kept()), (vec![], true));
    assert_eq!(plan.flows[0].position.as_deref(), Some("readings 0@5 1@5"));
    assert!(plan.to_string().ends_with("Everything that is there goes on.\n"), "{plan}");
}

#[test]
fn a_pipeline_may_grow() {
    let more = "CREATE STREAMING TABLE more USING cassandra PARTITIONED BY (id) AS SELECT id, ts FROM STREAM readings;\nCREATE STREAMING TABLE high";
    let (differing, plan) = changed("CREATE STREAMING TABLE high", more);
    assert_eq!((differing, plan.is_kept()), (vec!["flow more new".to_owned(), "table more new".to_owned()], true));
    assert!(plan.flows.iter().any(|f| f.position.as_deref() == Some("the beginning of readings")));
    // The topic's new column is for whoever reads it.
    let (differing, plan) = changed("value INT)", "value INT, note STRING)");
    assert_eq!((differing, plan.is_kept()), (vec!["table readings changed".to_owned()], true));
}

#[test]
fn a_pipeline_may_shrink() {
    let whole = checked(PIPELINE);
    let smaller = checked(PIPELINE.split("CREATE STREAMING TABLE high").next().unwrap());
    let plan = decide(&smaller, &ran(&whole));
    assert!(plan.is_kept());
    assert_eq!((plan.flows[2].flow.as_str(), plan.flows[2].verdict), ("high", FlowVerdict::Removed));
    assert!(plan.tables.iter().any(|t| t.table == "high" && t.verdict == TableVerdict::Removed));
}

#[test]
fn what_follows_the_state_may_change() {
    let (differing, plan) = changed("HAVING count(*) > 1", "HAVING count(*) > 2");
    assert_eq!((differing, plan.is_kept()), (vec![], true));
    let text = plan.to_string();
    let line =
        "        behind its state, from now on: having was (count(1L) > CAST(1 AS BIGINT)), and is (count(1L) > CAST(2 AS BIGINT))\n";
    assert!(text.contains(line), "{text}");
}

/// An epoch that is made again of its records is made by the query that it had.
#[test]
fn a_changed_query_is_told_what_a_torn_epoch_needs() {
    let (before, now) = (checked(PIPELINE), checked(&PIPELINE.replacen("value > 0", "value > 1", 1)));
    let mut facts = ran(&before);
    for known in facts.flows.values_mut() {
        let (_, header) = known.newest.as_mut().unwrap();
        header.made_of = Some(MadeOf { source: header.source.clone(), records: 3, changes: 2 });
    }
    let plan = decide(&now, &facts);
    let reason = "if the process died before epoch 7 was committed, start it with the query that it had first: that finishes it";
    assert_eq!((plan.is_kept(), plan.flows[0].reasons.as_slice()), (true, [reason.to_owned()].as_slice()));
    assert!(plan.flows[1..].iter().all(|flow| flow.reasons.is_empty()), "the query of the others is the same");
}

#[test]
fn a_changed_state_is_rebuilt_with_what_is_fed_from_it() {
    let (differing, plan) = changed("'1 hour'", "'2 hours'");
    assert_eq!((differing, plan.is_kept()), (vec!["flow hourly rebuilt".to_owned()], false));
    assert_eq!(plan.commands(), ["millstream reset hourly --pipeline PATH"]);
    assert_eq!(plan.flows[1].position.as_deref(), Some("the beginning of readings"));
    let (differing, plan) = changed("SELECT meter, id, value FROM", "SELECT meter, id, value, ts FROM");
    let expected = ["flow by_meter rebuilt", "flow high rebuilt", "table by_meter rebuilt", "table high rebuilt"];
    assert_eq!((differing, plan.is_kept()), (expected.map(str::to_owned).to_vec(), false));
}

#[test]
fn a_cache_holds_what_its_query_gives() {
    let (differing, plan) = changed("value >= 90", "value >= 95");
    assert_eq!((differing, plan.commands()), (vec!["flow high rebuilt".to_owned()], vec!["millstream reset high --pipeline PATH"]));
}

#[test]
fn what_the_log_no_longer_holds_is_refused() {
    let pipeline = checked(PIPELINE);
    let facts = |bounds: [(i64, i64); 2]| Facts { topics: BTreeMap::from([("readings".to_owned(), bounds.to_vec())]), ..ran(&pipeline) };
    let verdict = |pipeline: &Pipeline, facts: &Facts| {
        let plan = decide(pipeline, facts);
        (plan.flows[1].verdict, plan.flows[1].reasons.join("; "))
    };
    assert_eq!(verdict(&pipeline, &facts([(5, 9), (3, 8)])).0, FlowVerdict::Kept);
    let (refused, why) = verdict(&pipeline, &facts([(6, 9), (0, 8)]));
    assert_eq!(refused, FlowVerdict::Refused);
    assert!(why.starts_with("it stands at offset 5 of partition 0, and topic readings begins at 6 there"), "{why}");
    let (refused, why) = verdict(&pipeline, &facts([(0, 9), (0, 4)]));
    assert_eq!((refused, why.as_str()), (FlowVerdict::Refused, "it stands at offset 5 of partition 1, and topic readings ends at 4 there"));
    let changed = checked(&PIPELINE.replace("'1 hour'", "'2 hours'"));
    assert_eq!(verdict(&changed, &facts([(0, 9), (0, 8)])).0, FlowVerdict::Rebuilt);
    let (refused, why) = verdict(&changed, &facts([(4, 9), (0, 8)]));
    assert_eq!(
        (refused, why.as_str()),
        (FlowVerdict::Refused, "its source no longer holds its first events: table hourly would be built of those that are left")
    );
    let moved = Facts { log: Some("log 2".to_owned()), ..ran(&pipeline) };
    let (rebuilt, why) = verdict(&pipeline, &moved);
    assert_eq!((rebuilt, why.as_str()), (FlowVerdict::Rebuilt, "its place is in the log log 1, and topics are in the log log 2 now"));
}

#[test]
fn a_checkpoint_of_an_earlier_program_is_taken_by_its_text_or_not_at_all() {
    let pipeline = checked(PIPELINE);
    let earlier = |text: &str| {
        let mut facts = ran(&pipeline);
        for (id, known) in &mut facts.flows {
            let flow = pipeline.flows.iter().find(|f| f.id == *id).unwrap();
            if let Some((_, header)) = &mut known.newest {
                header.signature = None;
                header.fingerprint = Some(format!("{}{text}", flow.fingerprint));
            }
        }
        decide(&pipeline, &facts)
    };
    assert!(earlier("").is_kept());
    let plan = earlier("other");
    assert_eq!(plan.commands(), ["by_meter", "high", "hourly"].map(|table| format!("millstream reset {table} --pipeline PATH")));
    assert!(plan.flows[0].reasons[0].contains("an earlier program"), "{plan}");
}

#[test]
fn damaged_checkpoints_are_told() {
    let pipeline = checked(PIPELINE);
    let mut facts = ran(&pipeline);
    facts.flows.get_mut(&FlowId::new("hourly")).unwrap().unreadable = 2;
    let plan = decide(&pipeline, &facts);
    assert_eq!(
        (plan.is_kept(), plan.flows[1].reasons.as_slice()),
        (true, ["2 of its newest checkpoints can't be read".to_owned()].as_slice())
    );
    facts.flows.get_mut(&FlowId::new("hourly")).unwrap().newest = None;
    assert_eq!(decide(&pipeline, &facts).flows[1].verdict, FlowVerdict::Rebuilt);
}

#[test]
fn another_pipeline_is_known_by_having_nothing_in_common() {
    let other = checked(&PIPELINE.replace("readings", "events").replace("by_meter", "a").replace("hourly", "b").replace("high", "c"));
    assert!(decide(&other, &ran(&checked(PIPELINE))).is_another_pipeline);
    assert!(!decide(&other, &Facts::default()).is_another_pipeline);
    assert!(decide(&other, &Facts::default()).is_kept());
}

#[test]
fn facts_pass_the_control_socket() {
    let facts = ran(&checked(PIPELINE));
    assert_eq!(serde_json::from_str::<Facts>(&serde_json::to_string(&facts).unwrap()).unwrap(), facts);
}
