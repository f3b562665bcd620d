#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

#[test]
fn the_last_pipeline_is_remembered_by_its_absolute_path() {
    let dir = tempfile::tempdir().unwrap();
    remember_pipeline(dir.path(), Path::new("some/pipeline.sql")).unwrap();
    remember_pipeline(dir.path(), Path::new("other/pipeline.sql")).unwrap();
    assert_eq!(last_pipeline(dir.path()).unwrap(), std::env::current_dir().unwrap().join("other/pipeline.sql"));
}

#[test]
fn an_unused_directory_says_how_to_use_it() {
    let dir = tempfile::tempdir().unwrap();
    let message = last_pipeline(dir.path()).unwrap_err().to_string();
    assert!(message.contains("`millstream run PATH`"), "{message}");
}

#[test]
fn the_golden_file_of_version_1_is_read_and_a_later_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("pipeline.json"), "{\"version\":1,\"path\":\"/p/pipeline.sql\"}").unwrap();
    assert_eq!(last_pipeline(dir.path()).unwrap(), Path::new("/p/pipeline.sql"));
    std::fs::write(dir.path().join("pipeline.json"), "{\"version\":2,\"path\":\"/p/pipeline.sql\"}").unwrap();
    assert!(last_pipeline(dir.path()).unwrap_err().to_string().contains("version 2"));
}
