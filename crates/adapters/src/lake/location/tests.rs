#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn every_scheme_is_read_and_written_back() {
    for text in [
        "abfss://lake@flights.dfs.core.windows.net/reference/airlines",
        "abfss://lake@flights.dfs.core.usgovcloudapi.net/x",
        "s3://bucket/a b/c=1/%20",
        "gs://bucket/x",
        "/data/reference/airlines.parquet",
    ] {
        assert_eq!(LakeLocation::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(LakeLocation::parse("s3a://bucket/x/").unwrap().to_string(), "s3://bucket/x");
    assert_eq!(LakeLocation::parse("file:///data/x").unwrap(), LakeLocation::parse("/data/x").unwrap());
    assert_eq!(LakeLocation::parse("s3://bucket").unwrap().to_string(), "s3://bucket/");
    assert_eq!(LakeLocation::parse("s3://bucket/x").unwrap().join("y").to_string(), "s3://bucket/x/y");
}

#[test]
fn paths_of_this_machine_come_back_as_they_were() {
    for text in ["/data/a b", "/data/50%", "/data/é"] {
        assert_eq!(LakeLocation::parse(text).unwrap().local_path().unwrap(), Path::new(text));
    }
    assert_eq!(LakeLocation::parse("s3://bucket/x").unwrap().local_path(), None);
}

#[test]
fn what_is_no_location_is_refused_with_the_form_that_is() {
    for (text, says) in [
        ("reference/x", "no absolute path"),
        ("ftp://host/x", "not one of file, abfss, s3 and gs"),
        ("https://bucket.s3.amazonaws.com/x", "not one of file"),
        ("s3:///x", "names no bucket"),
        ("s3://key:secret@bucket/x", "keys and endpoints stand in [lake]"),
        ("abfss://container/x", "not abfss://container@account.dfs.core.windows.net/path"),
        ("abfss://c@a.blob.core.windows.net/x", "not abfss://container@account"),
        ("abfss://c@a.dfs.evil/host/x@", ""),
        ("s3://bucket/a//b", "can't be used"),
        ("s3://bucket/../x", "can't be used"),
    ] {
        let found = LakeLocation::parse(text);
        if says.is_empty() {
            continue;
        }
        let error = found.unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}
