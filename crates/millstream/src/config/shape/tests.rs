use std::path::PathBuf;

use millstream_adapters::connection::{Secret, TlsSettings};
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape counts")]
struct Section {
    name: String,
    #[serde(default)]
    port: Option<u16>,
    #[serde(rename = "on")]
    enabled: bool,
    servers: Vec<String>,
    folder: PathBuf,
    password: Option<Secret>,
    tls: Option<TlsSettings>,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    tables: BTreeMap<String, Table>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only its shape counts")]
struct Table {
    using: Word,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Here,
    There,
}

#[test]
fn every_setting_is_found_with_what_it_holds() {
    let found = settings::<Section>();
    let expected = [
        ("folder", Kind::Path),
        ("labels", Kind::Map),
        ("name", Kind::Text),
        ("on", Kind::Flag),
        ("password", Kind::Secret),
        ("port", Kind::Number),
        ("servers", Kind::List),
        ("tables.NAME.using", Kind::Text),
        ("tls.ca_file", Kind::Path),
        ("tls.certificate_file", Kind::Path),
        ("tls.key_file", Kind::Path),
    ];
    assert_eq!(found.into_iter().collect::<Vec<_>>(), expected.map(|(name, kind)| (name.to_owned(), kind)));
}
