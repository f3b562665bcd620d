#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;

use super::keys::{KEYS, nearest};
use super::listen::ListenAddress;
use super::*;

fn load(text: &str) -> Result<Effective> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("millstream.toml");
    std::fs::write(&file, text).unwrap();
    Layers { file: Some(file), ..Layers::default() }.load()
}

fn refusal(text: &str) -> String {
    match load(text) {
        Ok(_) => panic!("{text:?} was taken"),
        Err(e) => e.to_string(),
    }
}

#[test]
fn every_setting_is_listed_and_described_and_every_listed_one_is_taken() {
    let mut settings: BTreeSet<_> = super::shape::settings::<Config>().into_keys().collect();
    settings.retain(|name| !super::keys::NOT_SHOWN.contains(&name.as_str()));
    let listed: BTreeSet<_> = KEYS.iter().map(|k| k.name.to_owned()).collect();
    assert_eq!(settings, listed);
    assert_eq!(listed.len(), KEYS.len(), "a setting is listed twice");
    assert!(KEYS.iter().all(|k| k.about.ends_with('.')));
    assert!(KEYS.iter().all(|k| super::keys::is_setting(k.name)));
}

#[test]
fn the_settings_of_a_section_stand_together() {
    let sections: Vec<_> = KEYS.iter().map(|k| k.name.rsplit_once('.').map_or("", |(section, _)| section)).collect();
    let mut runs = sections.clone();
    runs.dedup();
    assert_eq!(runs.len(), sections.into_iter().collect::<BTreeSet<_>>().len(), "{runs:?}");
}

#[test]
fn a_file_overrides_defaults_and_its_data_dir_counts_from_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("millstream.toml"), "data_dir = \"d\"\n[listen]\nkafka = \"localhost:19092\"\n").unwrap();
    let loaded = Layers { beside: Some(dir.path().to_owned()), ..Layers::default() }.load().unwrap();
    assert_eq!(loaded.config.data_dir, dir.path().join("d"));
    assert_eq!(loaded.config.listen.kafka, ListenAddress::loopback(19092));
    assert_eq!(loaded.config.listen.http, ListenAddress::loopback(8080));
}

#[test]
fn a_flag_overrides_the_file() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("millstream.toml"), "data_dir = \"d\"\n").unwrap();
    let layers = Layers { beside: Some(dir.path().to_owned()), data_dir: Some("other".into()), ..Layers::default() };
    let loaded = layers.load().unwrap();
    assert_eq!(loaded.config.data_dir, Path::new("other"));
    assert!(print::effective(&loaded).contains("data_dir = \"other\"  # --data-dir"), "{}", print::effective(&loaded));
}

#[test]
fn an_unknown_setting_is_refused_with_its_place_and_the_nearest_name() {
    let message = refusal("[engine]\nepoch_row_max = 5\n");
    assert!(
        message.contains("millstream.toml:2:1: unknown setting engine.epoch_row_max: did you mean engine.epoch_rows_max?"),
        "{message}"
    );
    let message = refusal("[lisen]\nhttp = \"127.0.0.1:1\"\n");
    assert!(message.contains("millstream.toml:1:2: unknown setting lisen: did you mean listen?"), "{message}");
    assert!(refusal("[broker]\ndurability = \"fsync\"\n").contains("unknown setting broker.durability: did you mean durability?"));
    // Settings that there were once.
    assert!(refusal("[store]\npage_rows = 500\n").contains("millstream.toml:2:1: unknown setting store.page_rows"));
    assert!(refusal(&format!("{CASSANDRA}page_rows = 500\n")).contains("unknown setting cassandra.page_rows"));
    assert!(refusal("colour = 1").contains("`millstream config print` shows all settings"));
}

#[test]
fn sections_that_come_later_are_refused_by_name() {
    for section in ["spark", "system"] {
        let message = refusal(&format!("[{section}]\nx = 1\n"));
        assert!(message.contains(&format!("[{section}] is not supported yet")), "{message}");
    }
}

#[test]
fn checkpoints_lie_where_they_are_kept() {
    let loaded = load("[checkpoints]\nlocation = \"s3://bucket/checkpoints\"\n").unwrap();
    assert_eq!(loaded.config.checkpoints.location.as_deref(), Some("s3://bucket/checkpoints"));
    assert!(refusal("[checkpoints]\nlocation = \"ftp://host/x\"\n").contains("checkpoints.location"));
    let message = refusal("durability = \"fsync\"\n[checkpoints]\nlocation = \"/var/checkpoints\"\n");
    assert!(message.contains("are not synced"), "{message}");
}

#[test]
fn a_table_is_bound_elsewhere_by_its_name() {
    let loaded = load("[tables.airports]\nusing = \"parquet\"\nlocation = \"reference/airports.parquet\"\n").unwrap();
    let airports = &loaded.config.tables["airports"];
    let folder = loaded.file.as_deref().and_then(Path::parent).unwrap();
    assert_eq!(airports.location.as_deref(), Some(folder.join("reference/airports.parquet").as_path()));
    assert!(print::effective(&loaded).contains("[tables.airports]\nusing = \"parquet\"  # "), "{}", print::effective(&loaded));
    assert!(refusal("[tables.airports]\nusing = \"mysql\"\n").contains("[tables.airports] is using mysql: say which table with dbtable"));
    assert!(
        refusal("[tables.airports]\nbdtable = \"a\"\n")
            .contains("unknown setting tables.airports.bdtable: did you mean tables.NAME.dbtable?")
    );
    assert!(refusal("[tables.airports]\nusing = \"oracle\"\n").contains("tables.airports.using"));
}

#[test]
fn broken_toml_is_refused_with_its_place() {
    let message = refusal("data_dir = \"a\"\nlisten = {\n");
    assert!(message.contains("millstream.toml:"), "{message}");
}

#[test]
fn a_value_of_the_wrong_type_names_setting_and_file() {
    let message = refusal("[engine]\nepoch_rows_max = \"many\"\n");
    assert!(message.contains("setting engine.epoch_rows_max (from ") && message.contains("millstream.toml"), "{message}");
    let message = refusal("[listen]\nkafka = \"9092\"\n");
    assert!(message.contains("listen.kafka") && message.contains("such as 127.0.0.1:9092"), "{message}");
    assert!(refusal("durability = \"raid\"").contains("durability"));
    assert!(refusal("listen = 1").contains("listen is a section"));
}

#[test]
fn a_listener_beyond_loopback_is_refused() {
    let message = refusal("[listen]\nhttp = \"0.0.0.0:8080\"\n");
    assert!(message.contains("listen.http = 0.0.0.0:8080 can be reached from other machines"), "{message}");
    assert!(load("[listen]\nhttp = \"[::1]:8080\"\n").is_ok());
}

#[test]
fn two_listeners_on_one_port_are_refused() {
    let message = refusal("[listen]\nhttp = \"127.0.0.1:9092\"\n");
    assert!(message.contains("listen.http and listen.kafka are both 127.0.0.1:9092"), "{message}");
    assert!(load("[listen]\nhttp = \"127.0.0.1:0\"\nkafka = \"127.0.0.1:0\"\n").is_ok());
}

const KAFKA: &str = "[kafka]\nbootstrap_servers = \"broker:9092\"\n";
const CASSANDRA: &str = "[cassandra]\ncontact_points = [\"c:9042\"]\nkeyspace = \"k\"\n";
const POSTGRESQL: &str = "[postgresql]\nurl = \"postgres://reports@127.0.0.1/reports\"\n";
const REDIS: &str = "[redis]\nurl = \"redis://127.0.0.1:6379\"\n";

#[test]
fn a_setting_of_a_built_in_engine_that_a_real_one_replaces_is_refused() {
    for (setting, sections) in [
        ("[broker]\nsegment_bytes = 1048576\n", vec![KAFKA]),
        ("[listen]\nkafka = \"127.0.0.1:19092\"\n", vec![KAFKA]),
        ("[disk]\ncheck_interval_ms = 5000\n", vec![KAFKA]),
        ("[store]\nfeed_retention_s = 60\n", vec![CASSANDRA]),
        ("[store]\ncritical_front_bytes = 0\n", vec![REDIS]),
        ("[store]\ntombstone_grace_s = 60\n", vec![CASSANDRA, POSTGRESQL, REDIS]),
    ] {
        assert!(load(setting).is_ok(), "{setting}");
        let message = refusal(&format!("{setting}{}", sections.concat()));
        let section = sections[0].lines().next().unwrap();
        assert!(message.contains(" is a setting of ") && message.contains(section), "{message}");
    }
    // These still have an object.
    assert!(load(&format!("[disk]\nfree_bytes_min = 1\n[listen]\nhttp = \"127.0.0.1:0\"\n{KAFKA}")).is_ok());
    assert!(load(&format!("[store]\ntombstone_grace_s = 60\n{CASSANDRA}{REDIS}")).is_ok());
}

#[test]
fn what_is_printed_with_real_engines_can_be_read_again() {
    let text = print::effective(&load(&[KAFKA, CASSANDRA, REDIS].concat()).unwrap());
    assert!(text.contains("# kafka has no effect with [kafka]\n"), "{text}");
    assert!(load(&text).is_ok(), "{}", refusal(&text));
}

#[test]
fn what_is_printed_can_be_read_again() {
    let loaded = load("[engine]\ncheckpoints_kept = 3\n").unwrap();
    let text = print::effective(&loaded);
    assert!(text.contains("checkpoints_kept = 3  # ") && text.contains("http = \"127.0.0.1:8080\"  # default"), "{text}");
    let again = load(&text).unwrap();
    assert_eq!(again.config.engine, loaded.config.engine);
    assert_eq!(again.config.listen, loaded.config.listen);
}

#[test]
fn the_nearest_setting_is_found_across_sections() {
    assert_eq!(nearest("engine.epoch_bytes"), Some("engine.epoch_bytes_max"));
    assert_eq!(nearest("datadir"), Some("data_dir"));
    assert_eq!(nearest("xyz"), None);
}

#[test]
fn a_value_of_another_kind_is_refused_without_rusts_names() {
    for (text, told) in [
        ("[engine]\nepoch_rows_max = \"many\"\n", "invalid type: found string \"many\", expected a whole number that is not negative"),
        ("[engine]\nepoch_rows_max = -1\n", "invalid value `-1`, expected a whole number that is not negative"),
        ("durability = \"sync\"\n", "found `sync`, expected `process` or `fsync`"),
    ] {
        let refusal = refusal(text);
        assert!(refusal.ends_with(told), "{refusal}");
    }
}
