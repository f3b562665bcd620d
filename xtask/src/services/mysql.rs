//! MariaDB, which speaks MySQL's protocol: reference data.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use toml::Table;

use super::install;
use super::site::Site;
use super::system::{System, secret, table};
use crate::{run, workspace};

const NAME: &str = "mysql";
const USER: &str = "millstream";
const DATABASE: &str = "reference";

/// MariaDB.
pub struct Mysql;

impl System for Mysql {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ports(&self) -> &'static [&'static str] {
        &["port"]
    }

    fn account(&self) -> Option<&'static str> {
        Some("mysql")
    }

    fn prepare(&self, site: &Site) -> Result<()> {
        let dir = site.dir(NAME);
        let shown = dir.display();
        for file in ["server.pem", "server.key", "ca.pem"] {
            // Copies, because the key has to belong to whom the server runs as.
            std::fs::copy(site.certificate(file), dir.join(file))?;
        }
        let text = format!(
            "[mariadbd]
datadir = {shown}/data
socket = {shown}/socket
pid-file = {shown}/pid
bind-address = 127.0.0.1
port = {}
init-file = {shown}/init.sql
character-set-server = utf8mb4
innodb-buffer-pool-size = 64M
performance-schema = OFF
ssl-cert = {shown}/server.pem
ssl-key = {shown}/server.key
ssl-ca = {shown}/ca.pem
",
            site.port(NAME, "port"),
        );
        std::fs::write(dir.join("my.cnf"), text)?;
        let statements = format!(
            "CREATE DATABASE IF NOT EXISTS {DATABASE};
CREATE USER IF NOT EXISTS {USER}@'%' IDENTIFIED BY '{}';
GRANT ALL ON *.* TO {USER}@'%';
",
            site.secret(NAME)?,
        );
        std::fs::write(dir.join("init.sql"), statements)?;
        let mut make = install::command("mariadb-install-db")?;
        make.arg("--no-defaults").arg(format!("--datadir={shown}/data"));
        make.args(["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]);
        if rustix::process::getuid().is_root() {
            make.arg("--user=root");
        }
        run::captured(&mut make)?;
        Ok(())
    }

    fn command(&self, site: &Site) -> Result<Command> {
        let mut server = install::command("mariadbd")?;
        server.arg(format!("--defaults-file={}", site.dir(NAME).join("my.cnf").display()));
        Ok(server)
    }

    /// It greets whoever connects, with protocol version 10 behind the packet's head of four bytes.
    fn answers(&self, site: &Site) -> bool {
        let ask = || -> std::io::Result<u8> {
            let mut stream = TcpStream::connect(site.address(NAME, "port"))?;
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            let mut head = [0; 5];
            stream.read_exact(&mut head)?;
            let [.., version] = head;
            Ok(version)
        };
        ask().is_ok_and(|version| version == 10)
    }

    /// The flights example reads airports from here by examples/flights/engines.toml.
    fn settle(&self, site: &Site) -> Result<()> {
        load_airports(site)
    }

    fn settings(&self, site: &Site) -> Table {
        table([
            ("url", format!("mysql://{USER}@{}/{DATABASE}", site.address(NAME, "port")).into()),
            ("password", secret(&site.secret_file(NAME))),
        ])
    }

    fn extras(&self, _site: &Site) -> Table {
        Table::new()
    }
}

/// Makes the table `airports` of the flights example anew.
pub fn load_airports(site: &Site) -> Result<()> {
    let file = workspace::root().join("examples/flights/reference/airports.sql");
    let text = std::fs::read_to_string(&file).with_context(|| format!("can't read {}", file.display()))?;
    statements(site, &text)
}

/// Runs SQL statements in the reference database.
fn statements(site: &Site, text: &str) -> Result<()> {
    let mut client = install::command("mariadb")?;
    client.args(["--no-defaults", "-h", "127.0.0.1", "-P", &site.port(NAME, "port").to_string(), "-u", USER, DATABASE]);
    client.env("MYSQL_PWD", site.secret(NAME)?).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = client.spawn().context("can't start mariadb")?;
    child.stdin.take().context("mariadb has no stdin")?.write_all(text.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "mariadb: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(())
}
