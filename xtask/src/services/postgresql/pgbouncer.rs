//! PgBouncer in transaction mode, in front of the reports' database.

use std::process::Command;

use anyhow::Result;
use toml::Table;

use super::{ADMIN, DATABASE, is_ready, url};
use crate::services::install;
use crate::services::site::Site;
use crate::services::system::{System, secret, table};

pub const NAME: &str = "pgbouncer";

/// PgBouncer.
pub struct PgBouncer;

impl System for PgBouncer {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ports(&self) -> &'static [&'static str] {
        &["port"]
    }

    fn account(&self) -> Option<&'static str> {
        Some("postgres")
    }

    /// It asks the server for a user's password (`auth_query`), so that a rotated one counts here too.
    fn prepare(&self, site: &Site) -> Result<()> {
        let dir = site.dir(NAME);
        let text = format!(
            "[databases]
{DATABASE} = host=127.0.0.1 port={} dbname={DATABASE} auth_user={ADMIN}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {}
unix_socket_dir =
pool_mode = transaction
auth_type = scram-sha-256
auth_file = {}/users
auth_query = SELECT usename, passwd FROM pg_catalog.pg_shadow WHERE usename = $1
max_client_conn = 200
default_pool_size = 10
",
            site.port(super::NAME, "port"),
            site.port(NAME, "port"),
            dir.display(),
        );
        std::fs::write(dir.join("pgbouncer.ini"), text)?;
        Ok(std::fs::write(dir.join("users"), format!("\"{ADMIN}\" \"{}\"\n", site.secret(NAME)?))?)
    }

    fn command(&self, site: &Site) -> Result<Command> {
        let mut bouncer = install::command("pgbouncer")?;
        bouncer.arg(site.dir(NAME).join("pgbouncer.ini"));
        Ok(bouncer)
    }

    fn answers(&self, site: &Site) -> bool {
        is_ready(site.port(NAME, "port"))
    }

    fn settings(&self, _site: &Site) -> Table {
        Table::new()
    }

    fn extras(&self, site: &Site) -> Table {
        table([("url", url(site, NAME).into()), ("password", secret(&site.secret_file(super::NAME)))])
    }
}
