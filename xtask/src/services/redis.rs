//! Redis: one server with its append-only file on, and, apart, a cluster of three.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use toml::Table;

use super::install;
use super::site::Site;
use super::system::{System, secret, table};
use crate::e2e::process::until;
use crate::run;

const NAME: &str = "redis";
const USER: &str = "millstream";

/// One Redis: without a password on its plain port as on its TLS port, and with a user who has one.
pub struct Redis;

impl System for Redis {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ports(&self) -> &'static [&'static str] {
        &["port", "tls_port"]
    }

    fn prepare(&self, site: &Site) -> Result<()> {
        let [certificate, key, authority] = ["server.pem", "server.key", "ca.pem"].map(|file| site.certificate(file).display().to_string());
        let text = format!(
            "bind 127.0.0.1
port {}
tls-port {}
tls-cert-file {certificate}
tls-key-file {key}
tls-ca-cert-file {authority}
tls-auth-clients optional
dir {}
appendonly yes
save \"\"
user {USER} on >{} ~* &* +@all
",
            site.port(NAME, "port"),
            site.port(NAME, "tls_port"),
            site.dir(NAME).display(),
            site.secret(NAME)?,
        );
        Ok(std::fs::write(site.dir(NAME).join("redis.conf"), text)?)
    }

    fn command(&self, _site: &Site) -> Result<Command> {
        let mut redis = install::command("redis-server")?;
        redis.arg("redis.conf");
        Ok(redis)
    }

    fn answers(&self, site: &Site) -> bool {
        ask(&site.address(NAME, "port"), "PING").is_ok_and(|answer| answer.starts_with("+PONG"))
    }

    fn settings(&self, site: &Site) -> Table {
        table([("url", format!("redis://{}", site.address(NAME, "port")).into())])
    }

    fn extras(&self, site: &Site) -> Table {
        table([
            ("tls_url", format!("rediss://{}", site.address(NAME, "tls_port")).into()),
            ("username", USER.into()),
            ("password", secret(&site.secret_file(NAME))),
        ])
    }
}

/// Deletes the keys that match the glob `pattern`.
pub fn delete_keys(site: &Site, pattern: &str) -> Result<()> {
    let script = "local cursor = '0'
        repeat
          local found = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000)
          cursor = found[1]
          for _, key in ipairs(found[2]) do redis.call('UNLINK', key) end
        until cursor == '0'";
    let port = site.port(NAME, "port").to_string();
    run::captured(install::command("redis-cli")?.args(["-p", &port, "EVAL", script, "0", pattern])).map(drop)
}

const CLUSTER: &str = "redis-cluster";
const NODES: [&str; 3] = ["port", "second_port", "third_port"];
/// A node's port for the other nodes (`cluster-port`).
const BUSES: [&str; 3] = ["bus_port", "second_bus_port", "third_bus_port"];

/// A cluster of three primaries, started and ended as one.
pub struct RedisCluster;

impl System for RedisCluster {
    fn name(&self) -> &'static str {
        CLUSTER
    }

    fn ports(&self) -> &'static [&'static str] {
        &["port", "second_port", "third_port", "bus_port", "second_bus_port", "third_bus_port"]
    }

    fn prepare(&self, site: &Site) -> Result<()> {
        let server = install::find("redis-server").unwrap_or_default().display().to_string();
        let mut script = "#!/bin/sh\ntrap 'kill $nodes; wait' TERM INT\n".to_owned();
        for (node, bus) in NODES.iter().zip(BUSES) {
            let port = site.port(CLUSTER, node);
            std::fs::create_dir(site.dir(CLUSTER).join(node))?;
            let text = format!(
                "bind 127.0.0.1\nport {port}\ncluster-enabled yes\ncluster-port {}\ncluster-node-timeout 5000\nappendonly yes\nsave \"\"\ndir {}\n",
                site.port(CLUSTER, bus),
                site.dir(CLUSTER).join(node).display(),
            );
            std::fs::write(site.dir(CLUSTER).join(format!("{node}.conf")), text)?;
            script += &format!("'{server}' {node}.conf & nodes=\"$nodes $!\"\n");
        }
        script += "wait\n";
        Ok(std::fs::write(site.dir(CLUSTER).join("run.sh"), script)?)
    }

    fn command(&self, _site: &Site) -> Result<Command> {
        let mut shell = Command::new("sh");
        shell.arg("run.sh");
        Ok(shell)
    }

    fn answers(&self, site: &Site) -> bool {
        let up = |node: &&str| ask(&site.address(CLUSTER, node), "PING").is_ok_and(|answer| answer.starts_with("+PONG"));
        if !NODES.iter().all(up) {
            return false;
        }
        // A new cluster has no slots until `settle` gives them out.
        !site.dir(CLUSTER).join("prepared").exists() || is_whole(site)
    }

    fn settle(&self, site: &Site) -> Result<()> {
        let mut create = install::command("redis-cli")?;
        create.args(["--cluster", "create"]).args(NODES.map(|node| site.address(CLUSTER, node))).arg("--cluster-yes");
        run::captured(&mut create)?;
        until(Duration::from_secs(30), "the cluster's nodes agree", || Ok(is_whole(site)))
    }

    fn settings(&self, _site: &Site) -> Table {
        Table::new()
    }

    fn extras(&self, site: &Site) -> Table {
        let nodes = NODES.map(|node| format!("redis://{}", site.address(CLUSTER, node)));
        table([("url", nodes.join(",").into())])
    }
}

fn is_whole(site: &Site) -> bool {
    let agrees = |node: &str| ask(&site.address(CLUSTER, node), "CLUSTER INFO").is_ok_and(|answer| answer.contains("cluster_state:ok"));
    NODES.into_iter().all(agrees)
}

/// A command's answer, as far as one read gives it.
fn ask(address: &str, command: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(format!("{command}\r\n").as_bytes())?;
    let mut buffer = [0; 1024];
    let length = stream.read(&mut buffer)?;
    Ok(String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned())
}
