#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

#[test]
fn the_last_pipeline_is_remembered_by_its_absolute_path() {
    let dir = tempfile::tempdir().unwrap();
    LastRun::new(Path::new("some/pipeline.sql"), None, true).unwrap().remember(dir.path()).unwrap();
    let other = LastRun::new(Path::new("other/pipeline.sql"), Some(Path::new("m.toml")), false).unwrap();
    other.remember(dir.path()).unwrap();
    let here = std::env::current_dir().unwrap();
    assert_eq!(LastRun::of(dir.path()).unwrap(), other);
    assert_eq!((other.path, other.config), (here.join("other/pipeline.sql"), Some(here.join("m.toml"))));
}

#[test]
fn an_unused_directory_says_how_to_use_it() {
    let dir = tempfile::tempdir().unwrap();
    let message = LastRun::of(dir.path()).unwrap_err().to_string();
    assert!(message.contains("`millstream run PATH`"), "{message}");
}

#[test]
fn the_golden_file_of_version_1_is_read_and_a_later_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("pipeline.json"), "{\"version\":1,\"path\":\"/p/pipeline.sql\"}").unwrap();
    assert_eq!(LastRun::of(dir.path()).unwrap(), LastRun::new(Path::new("/p/pipeline.sql"), None, false).unwrap());
    std::fs::write(dir.path().join("pipeline.json"), "{\"version\":2,\"path\":\"/p/pipeline.sql\"}").unwrap();
    assert!(LastRun::of(dir.path()).unwrap_err().to_string().contains("version 2"));
}
