//! Wrong pipelines: each `tests/golden/NAME.sql` gives the errors in `NAME.txt`. `MILLSTREAM_BLESS=1` writes them anew.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{FLIGHTS, built_in, check, checked};
use millstream_pipeline::explain;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Compares `found` with the file, or writes it.
fn compare(name: &str, found: &str) -> Option<String> {
    let path = folder().join(name);
    if std::env::var_os("MILLSTREAM_BLESS").is_some() {
        fs::write(&path, found).unwrap();
        return None;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    (expected != found).then(|| format!("{name} differs (MILLSTREAM_BLESS=1 writes it anew)\n--- expected\n{expected}\n--- found\n{found}"))
}

#[test]
fn wrong_pipelines_are_refused_with_place_and_remedy() {
    let mut names: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "sql"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 24, "only {} wrong pipelines", names.len());
    let mut differences = Vec::new();
    for name in names {
        let text = fs::read_to_string(folder().join(format!("{name}.sql"))).unwrap();
        let errors = check(&text).err().unwrap_or_else(|| panic!("{name}.sql is wrong, but passes"));
        for error in errors.iter() {
            assert!(error.code().starts_with("millstream::"), "{name}: {error}");
            assert!(error.help().is_some(), "{name}: {error} has no remedy");
            assert!(error.line() >= 1 && error.column() >= 1, "{name}: {error}");
        }
        differences.extend(compare(&format!("{name}.txt"), &errors.render(false)));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn the_flights_graph_is_explained() {
    let pipeline = checked(FLIGHTS);
    let json = serde_json::to_string_pretty(&explain::json(&pipeline, &built_in)).unwrap() + "\n";
    let differences: Vec<_> = [("flights.explain.txt", explain::text(&pipeline, &built_in)), ("flights.explain.json", json)]
        .iter()
        .filter_map(|(name, found)| compare(name, found))
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn a_description_is_the_same_each_time_and_names_what_changed() {
    let before = checked(FLIGHTS).description();
    assert_eq!(before, checked(FLIGHTS).description());
    let after = checked(&FLIGHTS.replace("dep_delay >= 120", "dep_delay >= 90")).description();
    let changed: Vec<_> = before.lines().zip(after.lines()).filter(|(b, a)| b != a).collect();
    assert!(changed.len() == 1 && changed[0].0.contains("120") && changed[0].1.contains("90"), "{changed:?}");
    let rescheduled = checked(&FLIGHTS.replace("*/5 * * * *", "0 3 * * *")).description();
    assert_eq!(before, rescheduled, "a schedule may change freely");
}
