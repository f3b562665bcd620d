//! Flows into topics of Protobuf messages: what is read again is what was written, and an event that is no message is a dead letter.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_core::ErrorKind;
use millstream_pipeline::{SourceFile, Surroundings, parse};
use millstream_testkit::faults::Call;

use crate::world::{World, rows};

// What protoc --descriptor_set_out writes of
// syntax = "proto3"; package air; enum Kind { EARLY = 0; LATE = 1; }
// message Alert { int64 id = 1; string origin = 2; optional int32 delay = 3; repeated string words = 4; Kind kind = 5; }
const DESCRIPTOR: &str = "\
    0aa2010a0b616c6572742e70726f746f120361697222690a05416c657274120a0a026964180120012803120e0a066f726967696e1802200128091212\
    0a0564656c61791803200128054800880101120d0a05776f72647318042003280912170a046b696e6418052001280e32092e6169722e4b696e644208\
    0a065f64656c61792a1b0a044b696e6412090a054541524c59100012080a044c4154451001620670726f746f33";

const PIPELINE: &str = "
CREATE TABLE readings (id BIGINT NOT NULL, origin STRING, delay INT, words ARRAY<STRING>)
USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');

CREATE STREAMING TABLE alerts USING kafka
TBLPROPERTIES ('topic' = 'alerts', 'value.format' = 'protobuf', 'descriptor' = 'alert.desc', 'message' = 'air.Alert', 'key' = 'id', 'partitions' = '3')
AS SELECT id, coalesce(origin, '') AS origin, delay, words, CASE WHEN delay > 9 THEN 'LATE' WHEN delay < 0 THEN 'NEVER' ELSE 'EARLY' END AS kind
   FROM STREAM readings;

CREATE STREAMING TABLE copies USING cassandra PARTITIONED BY (id) AS SELECT id, origin, delay, words[0] AS word, kind FROM STREAM alerts WHERE size(words) > 0;
";

fn world() -> World {
    let file = SourceFile { name: "pipeline.sql".to_owned(), text: PIPELINE.to_owned() };
    let bytes = (0..DESCRIPTOR.len() / 2).map(|at| u8::from_str_radix(&DESCRIPTOR[2 * at..2 * at + 2], 16).unwrap()).collect();
    let parsed = parse(&[file]).unwrap();
    assert_eq!(parsed.files(), ["alert.desc"]);
    let surroundings = Surroundings { files: BTreeMap::from([("alert.desc".to_owned(), Ok(bytes))]), ..Surroundings::default() };
    let pipeline = parsed.within(surroundings).check(&BTreeMap::new()).unwrap_or_else(|e| panic!("{}", e.render(false)));
    let mut world = World::with_epochs_of(7);
    world.pipeline = Arc::new(pipeline);
    world
}

fn event(id: i64, rest: &str) -> (i32, String) {
    (i32::from(id % 2 == 1), format!("{{\"id\":{id},{rest}}}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_read_again_as_they_were_written_through_deaths() {
    for (call, nth) in [(Call::Put, 2), (Call::Claim, 1), (Call::ReadLog, 5)] {
        let world = world();
        drop(world.engine().await);
        let events = (0..40).map(|id| match id % 4 {
            0 => event(id, "\"delay\":0,\"words\":[]"),
            1 => event(id, "\"origin\":\"EWR\",\"words\":[\"a\",\"\"]"),
            2 => event(id, "\"origin\":\"\",\"delay\":12,\"words\":[\"b\"]"),
            _ => event(id, "\"origin\":\"JFK\",\"delay\":2147483647,\"words\":null"),
        });
        world.publish_values(events).await;
        world.faults.fail(call, nth, ErrorKind::Internal);
        world.faults.fail_after(call, nth + 3, ErrorKind::Internal);
        let engine = world.run_through_deaths().await;
        let expected = |kinds: &[i64]| {
            let mut lines: Vec<(i64, &str)> = Vec::new();
            for id in (0..40).filter(|id| kinds.contains(&(id % 4))) {
                lines.push((id, [" 0 EARLY", "EWR  EARLY", " 12 LATE", "JFK 2147483647 LATE"][usize::try_from(id % 4).unwrap()]));
            }
            lines.into_iter().map(|(id, rest)| format!("{id} {rest}")).collect::<Vec<_>>()
        };
        assert_eq!(rows(&engine, "SELECT id, origin, delay, kind FROM alerts ORDER BY id").await, expected(&[0, 1, 2, 3]), "{call:?}");
        assert_eq!(rows(&engine, "SELECT id, origin, delay, kind FROM copies ORDER BY id").await, expected(&[1, 2]), "{call:?}");
        let report = engine.verify(&|_| {}).await.unwrap();
        assert!(report.is_clean(), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_no_message_is_a_dead_letter_and_the_flow_goes_on() {
    let world = world();
    drop(world.engine().await);
    let wrong = [event(2, "\"words\":[\"a\",null]"), event(4, "\"delay\":-1,\"words\":[\"b\"]")];
    world.publish_values([event(0, "\"words\":[\"a\"]")].into_iter().chain(wrong).chain([event(6, "\"words\":[\"c\"]")])).await;
    let engine = world.run().await.unwrap();
    assert_eq!(rows(&engine, "SELECT id FROM alerts ORDER BY id").await, ["0", "6"]);
    assert_eq!(rows(&engine, "SELECT id, word FROM copies ORDER BY id").await, ["0 a", "6 c"]);
    let dead = rows(&engine, "SELECT flow, \"offset\", reason FROM system.dead_letters ORDER BY \"offset\"").await;
    let null = "alerts 1 an item or value of field 4 is null, which Protobuf has no word for";
    assert_eq!(dead, [null, "alerts 2 'NEVER' is none of the enum's names EARLY, LATE"]);
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}
