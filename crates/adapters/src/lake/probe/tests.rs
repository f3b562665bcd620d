#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
use futures::future::join_all;

use super::*;

fn object(name: &str, seconds: i64) -> ObjectMeta {
    let last_modified = chrono::DateTime::from_timestamp(1_704_067_200 + seconds, 0).unwrap();
    ObjectMeta { location: ObjectPath::from(format!("lake/{name}")), last_modified, size: 1, e_tag: None, version: None }
}

#[test]
fn what_interrupted_probes_have_left_is_removed_and_nothing_else() {
    let ours = object("_millstream_probe-3", 10_000);
    let objects = [
        object("_millstream_probe", 0),
        object("_millstream_probe-1", 6_400),
        object("_millstream_probe-2", 6_401),
        ours.clone(),
        object("_millstream_probe-4", 20_000),
        object("notes.txt", 0),
    ];
    assert_eq!(left_behind(&objects, &ours.location), [objects[0].location.clone(), objects[1].location.clone()]);
    assert!(left_behind(&objects[..3], &ours.location).is_empty(), "nobody knows the store's time");
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_of_one_lake_do_not_disturb_one_another_and_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let settings = LakeSettings { location: Some(dir.path().to_str().unwrap().to_owned()), ..LakeSettings::default() };
    for outcome in join_all((0..8).map(|_| probe(&settings))).await {
        assert!(outcome.unwrap().ends_with("may list, create, read and delete"));
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
