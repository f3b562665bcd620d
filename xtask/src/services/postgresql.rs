//! PostgreSQL: a database for reports whose owner has no further rights. TLS is served on the same port.

pub mod pgbouncer;

use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::Signal;
use toml::Table;

use super::install;
use super::processes::run_as;
use super::site::{Site, random_hex};
use super::system::{System, secret, table};
use crate::run;

const NAME: &str = "postgresql";
const USER: &str = "reports";
const DATABASE: &str = "reports";
/// The superuser; its password is that of the instance `pgbouncer`, which signs in as it to ask for the users' passwords.
const ADMIN: &str = "postgres";

/// PostgreSQL.
pub struct Postgresql;

impl System for Postgresql {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ports(&self) -> &'static [&'static str] {
        &["port"]
    }

    fn account(&self) -> Option<&'static str> {
        Some("postgres")
    }

    fn prepare(&self, site: &Site) -> Result<()> {
        let dir = site.dir(NAME);
        for file in ["server.pem", "server.key", "ca.pem"] {
            std::fs::copy(site.certificate(file), dir.join(file))?;
        }
        let password = dir.join("admin-password");
        std::fs::write(&password, site.secret(pgbouncer::NAME)?)?;
        site.hand_over(self)?;
        let mut initdb = install::command("initdb")?;
        initdb.current_dir(&dir).arg("-D").arg(dir.join("data")).args(["-U", ADMIN, "-E", "UTF8", "--locale=C", "-A", "scram-sha-256"]);
        initdb.arg(format!("--pwfile={}", password.display()));
        run_as(&mut initdb, Site::account(self)?);
        run::captured(&mut initdb)?;
        let shown = dir.display();
        let text = format!(
            "listen_addresses = '127.0.0.1'
port = {}
unix_socket_directories = ''
max_connections = 100
shared_buffers = 64MB
ssl = on
ssl_cert_file = '{shown}/server.pem'
ssl_key_file = '{shown}/server.key'
ssl_ca_file = '{shown}/ca.pem'
",
            site.port(NAME, "port"),
        );
        let file = dir.join("data/postgresql.conf");
        let defaults = std::fs::read_to_string(&file)?;
        Ok(std::fs::write(file, defaults + &text)?)
    }

    fn command(&self, site: &Site) -> Result<Command> {
        let mut server = install::command("postgres")?;
        server.arg("-D").arg(site.dir(NAME).join("data"));
        Ok(server)
    }

    fn answers(&self, site: &Site) -> bool {
        is_ready(site.port(NAME, "port"))
    }

    fn settle(&self, site: &Site) -> Result<()> {
        let role = format!("CREATE ROLE {USER} LOGIN PASSWORD '{}'", site.secret(NAME)?);
        let database = format!("CREATE DATABASE {DATABASE} OWNER {USER}");
        as_admin(site, &[&role, &database])
    }

    /// Fast shutdown: it does not wait for clients.
    fn farewell(&self) -> Signal {
        Signal::INT
    }

    /// A killed server leaves a small segment of System V shared memory, named in its pid file's seventh line, and the pid file, which
    /// keeps the next one from starting as long as nobody has collected the dead process.
    fn sweep(&self, site: &Site) {
        let file = site.dir(NAME).join("data/postmaster.pid");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        if let Some(id) = text.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)) {
            // Either may be gone already.
            let _ = run::captured(Command::new("ipcrm").args(["-m", id]));
            let _ = std::fs::remove_file(file);
        }
    }

    fn settings(&self, site: &Site) -> Table {
        table([("url", url(site, NAME).into()), ("password", secret(&site.secret_file(NAME)))])
    }

    fn extras(&self, site: &Site) -> Table {
        table([("admin_url", admin_url(site).into()), ("admin_password", secret(&site.secret_file(pgbouncer::NAME)))])
    }
}

/// The address of the reports' database, by way of the system `name`.
fn url(site: &Site, name: &str) -> String {
    format!("postgres://{USER}@{}/{DATABASE}", site.address(name, "port"))
}

fn admin_url(site: &Site) -> String {
    format!("postgres://{ADMIN}@{}/postgres", site.address(NAME, "port"))
}

/// Runs statements as the superuser, each in a transaction of its own.
pub fn as_admin(site: &Site, statements: &[&str]) -> Result<()> {
    let mut psql = install::command("psql")?;
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]).args(statements.iter().flat_map(|statement| ["-c", statement])).arg(admin_url(site));
    run::captured(psql.env("PGPASSWORD", site.secret(pgbouncer::NAME)?))?;
    Ok(())
}

/// The address of a database that [`create_database`] made.
pub fn database_url(site: &Site, name: &str) -> String {
    format!("postgres://{USER}@{}/{name}", site.address(NAME, "port"))
}

/// A further database that belongs to the reports' user.
pub fn create_database(site: &Site, name: &str) -> Result<()> {
    as_admin(site, &[&format!("CREATE DATABASE {name} OWNER {USER}")])
}

/// Drops it, whoever is connected to it.
pub fn drop_database(site: &Site, name: &str) -> Result<()> {
    as_admin(site, &[&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")])
}

/// Gives the reports' user another password: first the server, then the file, as a rotation by hand does.
pub fn rotate_password(site: &Site) -> Result<()> {
    let password = random_hex()?;
    as_admin(site, &[&format!("ALTER ROLE {USER} PASSWORD '{password}'")])?;
    let file = site.secret_file(NAME);
    let new = file.with_extension("new");
    std::fs::write(&new, password)?;
    std::fs::rename(&new, &file).with_context(|| format!("can't write {}", file.display()))
}

/// Ends every connection of the reports' user.
pub fn end_connections(site: &Site) -> Result<()> {
    as_admin(site, &[&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{USER}'")])
}

fn is_ready(port: u16) -> bool {
    let ask = || -> Result<bool> {
        let mut ready = install::command("pg_isready")?;
        let output =
            ready.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string(), "-t", "2"]).status().context("can't start pg_isready")?;
        Ok(output.success())
    };
    ask().unwrap_or(false)
}
