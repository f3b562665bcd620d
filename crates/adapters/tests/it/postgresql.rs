//! PostgreSQL, directly and through PgBouncer in transaction mode: every contract suite, and what the contracts don't say (secrets, TLS,
//! what is in the tables).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod connections;
mod references;
mod reports;

use std::sync::{Arc, Mutex};

use arrow::datatypes::DataType;
use millstream_adapters::connection::Secret;
use millstream_adapters::postgresql::{PostgresPool, PostgresReportStore, PostgresSettings, check_table};
use millstream_core::table::has_text_keys;
use millstream_testkit::{Abilities, Cell, OnData, suite};
use serde::Deserialize;
use tokio_postgres::{Client, NoTls};

use crate::services;

/// Whom a test asks beside the adapter: a plain connection.
pub async fn client(settings: &PostgresSettings) -> Client {
    let mut config: tokio_postgres::Config = settings.url.parse().unwrap();
    if let Some(user) = &settings.user {
        config.user(user);
    }
    if let Some(secret) = &settings.password {
        config.password(secret.read("password").unwrap().expose());
    }
    let (client, connection) = config.connect(NoTls).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "it ends with the client")]
    tokio::spawn(async move { drop(connection.await) });
    client
}

/// Where a server's superuser comes in.
#[derive(Deserialize)]
pub struct Admin {
    admin_url: String,
    admin_password: Secret,
}

impl Admin {
    pub async fn client() -> Option<Client> {
        let admin: Self = services::settings("postgresql", &["services", "postgresql"])?;
        Some(client(&PostgresSettings { password: Some(admin.admin_password), ..PostgresSettings::new(admin.admin_url) }).await)
    }
}

/// Schemas of a test's own, dropped at its end.
#[derive(Clone)]
pub struct Schemas {
    settings: PostgresSettings,
    made: Arc<Mutex<Vec<String>>>,
}

impl Schemas {
    /// `None`: there is no such system, and the test is skipped. `path` is `["postgresql"]`, or that of PgBouncer.
    pub fn at(path: &[&str]) -> Option<Self> {
        let mut section: toml::Table = services::settings("postgresql", path)?;
        // Beside the adapter's settings stands what only tests need.
        section.retain(|key, _| matches!(key, "url" | "password" | "tls"));
        Some(Self { settings: section.try_into().unwrap(), made: Arc::default() })
    }

    pub fn direct() -> Option<Self> {
        Self::at(&["postgresql"])
    }

    pub fn pgbouncer() -> Option<Self> {
        Self::at(&["services", "pgbouncer"])
    }

    /// Settings for a new schema.
    pub fn next(&self) -> PostgresSettings {
        let name = tempfile::Builder::new().prefix("ms_").rand_bytes(12).tempdir().unwrap();
        let name = name.path().file_name().unwrap().to_str().unwrap().to_lowercase();
        self.made.lock().unwrap().push(name.clone());
        PostgresSettings { schema: name, ..self.settings.clone() }
    }

    pub async fn drop_all(&self) {
        // Not through PgBouncer: its connections may still hold what a dropped future left.
        let client = client(&self.settings).await;
        let made = std::mem::take(&mut *self.made.lock().unwrap());
        for name in made {
            client.batch_execute(&format!("DROP SCHEMA IF EXISTS \"{name}\" CASCADE")).await.unwrap();
        }
    }
}

pub fn store(settings: &PostgresSettings) -> Arc<PostgresReportStore> {
    Arc::new(PostgresReportStore::new(PostgresPool::new(settings.clone()).unwrap()))
}

async fn report_store_suite(system: &str, schemas: Option<Schemas>) {
    let Some(schemas) = schemas else { return };
    let abilities = Abilities { settable_clock: false, nul_in_text: false, ..Abilities::ALL };
    let harness = || {
        OnData::new(schemas.next(), |settings: Arc<PostgresSettings>, _| async move { Ok(store(&settings) as suite::report_store::Port) })
            .with_abilities(abilities)
    };
    let report = suite::report_store::run(system, harness).await;
    schemas.drop_all().await;
    report.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn report_store() {
    report_store_suite("postgresql", Schemas::direct()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn report_store_through_pgbouncer() {
    report_store_suite("postgresql (pgbouncer)", Schemas::pgbouncer()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn types() {
    use suite::sql_types::{OfReportStore, Port, has_non_finite_within};
    let Some(schemas) = Schemas::direct() else { return };
    let harness = || {
        OnData::new(schemas.next(), |settings: Arc<PostgresSettings>, _| async move {
            let port = Port::of(OfReportStore(store(&settings)), |spec| check_table(&PostgresSettings::new("postgres://x"), spec));
            // PostgreSQL's text has no NUL, and jsonb's objects have strings as keys and finite numbers.
            let is_refused = |data_type: &DataType, value: Option<&Cell>| {
                let has_nul = |value: &Cell| matches!(value, Cell::Str(text) if text.contains('\0'));
                !has_text_keys(data_type) || value.is_some_and(|value| has_nul(value) || has_non_finite_within(value))
            };
            Ok(port.refusing(is_refused))
        })
    };
    let report = suite::sql_types::run("postgresql", harness).await;
    schemas.drop_all().await;
    report.assert_passed();
}
