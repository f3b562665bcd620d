//! Apache Cassandra: one node. Its client port speaks with and without TLS.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use toml::{Table, Value};

use super::install;
use super::site::Site;
use super::system::{System, secret, table};

const POM: &str = include_str!("cassandra/pom.xml");
const LOGBACK: &str = include_str!("cassandra/logback.xml");
const JARS: &str = "cassandra-5.0.8";
const NAME: &str = "cassandra";
/// The account that Cassandra makes by itself; its password is its name.
const USER: &str = "cassandra";

/// What Cassandra's own `jvm17-server.options` opens.
const EXPORTS: [&str; 7] = [
    "java.base/jdk.internal.misc",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "java.base/java.lang.ref",
    "jdk.unsupported/sun.misc",
];
const OPENS: [&str; 13] = [
    "java.base/java.lang.module",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.util",
    "java.base/java.nio",
    "jdk.management/com.sun.management.internal",
];

/// Apache Cassandra.
pub struct Cassandra;

impl System for Cassandra {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ports(&self) -> &'static [&'static str] {
        &["port", "storage_port"]
    }

    fn prepare(&self, site: &Site) -> Result<()> {
        std::fs::write(site.secret_file(NAME), USER)?;
        std::fs::write(site.dir(NAME).join("cassandra.yaml"), settings_file(site))?;
        std::fs::write(site.dir(NAME).join("logback.xml"), LOGBACK)?;
        Ok(())
    }

    fn command(&self, site: &Site) -> Result<Command> {
        let jars = install::jars(JARS, POM)?;
        let dir = site.dir(NAME).display().to_string();
        let mut java = install::java()?;
        java.args([
            "-Xms1g",
            "-Xmx1280m",
            "-XX:MaxDirectMemorySize=512m",
            "-XX:+UseG1GC",
            "-Xss512k",
            "-XX:+ExitOnOutOfMemoryError",
            "-Djdk.attach.allowAttachSelf=true",
        ]);
        java.arg(format!("-javaagent:{}/jamm-0.4.0.jar", jars.display()));
        for module in EXPORTS {
            java.args(["--add-exports", &format!("{module}=ALL-UNNAMED")]);
        }
        for module in OPENS {
            java.args(["--add-opens", &format!("{module}=ALL-UNNAMED")]);
        }
        java.arg(format!("-Dcassandra.config=file://{dir}/cassandra.yaml")).arg(format!("-Dcassandra.storagedir={dir}/data"));
        java.arg(format!("-Dlogback.configurationFile={dir}/logback.xml"));
        // There is no other node to wait for.
        java.args(["-Dcassandra-foreground=yes", "-Dcassandra.ring_delay_ms=100", "-Dcassandra.skip_wait_for_gossip_to_settle=0"]);
        java.arg("-Dcassandra.superuser_setup_delay_ms=0");
        java.arg("-cp").arg(format!("{}/*", jars.display())).arg("org.apache.cassandra.service.CassandraDaemon");
        Ok(java)
    }

    /// Signs in: the account is made some time after the port is open.
    fn answers(&self, site: &Site) -> bool {
        sign_in(&site.address(NAME, "port")).is_ok_and(|signed_in| signed_in.is_some())
    }

    fn settings(&self, site: &Site) -> Table {
        table([
            ("contact_points", Value::Array(vec![site.address(NAME, "port").into()])),
            ("keyspace", "millstream".into()),
            // For a keyspace that is to be made: the datacenter's name under SimpleSnitch, and the only copy.
            ("replication", table([("datacenter1", 1.into())]).into()),
            ("username", USER.into()),
            ("password", secret(&site.secret_file(NAME))),
        ])
    }

    fn extras(&self, site: &Site) -> Table {
        table([("tls", site.address(NAME, "port").into())])
    }
}

fn settings_file(site: &Site) -> String {
    let [port, storage_port] = ["port", "storage_port"].map(|key| site.port(NAME, key));
    let data = site.dir(NAME).join("data");
    let [store, authority] = ["server-store.pem", "ca.pem"].map(|file| site.certificate(file));
    format!(
        "cluster_name: millstream
num_tokens: 16
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: \"127.0.0.1:{storage_port}\"
listen_address: 127.0.0.1
rpc_address: 127.0.0.1
authenticator: PasswordAuthenticator
storage_port: {storage_port}
start_native_transport: true
native_transport_port: {port}
data_file_directories: [{data}/data]
commitlog_directory: {data}/commitlog
saved_caches_directory: {data}/saved_caches
hints_directory: {data}/hints
cdc_raw_directory: {data}/cdc_raw
# The only copy: an acknowledged write has to survive kill -9, as it does in a cluster by its other copies.
commitlog_sync: group
commitlog_sync_group_window: 5ms
commitlog_segment_size: 16MiB
commitlog_total_space: 512MiB
auto_snapshot: false
concurrent_compactors: 1
memtable_heap_space: 256MiB
memtable_offheap_space: 128MiB
file_cache_size: 64MiB
networking_cache_size: 64MiB
client_encryption_options:
  enabled: true
  optional: true
  require_client_auth: false
  ssl_context_factory:
    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory
  keystore: {store}
  truststore: {authority}
",
        data = data.display(),
        store = store.display(),
        authority = authority.display(),
    )
}

/// Runs a CQL statement (native protocol v4: QUERY, consistency ONE, no values); an error holds what the server says.
pub fn query(site: &Site, statement: &str) -> Result<()> {
    const QUERY: u8 = 0x07;
    const RESULT: u8 = 0x08;
    let Some(mut stream) = sign_in(&site.address(NAME, "port"))? else { bail!("cassandra does not let {USER} in") };
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let length = u32::try_from(statement.len())?.to_be_bytes();
    let (opcode, answer) = exchange(&mut stream, QUERY, &[&length, statement.as_bytes(), &[0, 1, 0]].concat())?;
    ensure!(opcode == RESULT, "cassandra: {statement}: {}", String::from_utf8_lossy(&answer));
    Ok(())
}

/// Signs in (native protocol v4: STARTUP, AUTHENTICATE, AUTH_RESPONSE, AUTH_SUCCESS); `None` if the server doesn't want it.
fn sign_in(address: &str) -> std::io::Result<Option<TcpStream>> {
    const STARTUP: u8 = 0x01;
    const AUTH_RESPONSE: u8 = 0x0f;
    const AUTH_SUCCESS: u8 = 0x10;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    exchange(&mut stream, STARTUP, b"\0\x01\0\x0bCQL_VERSION\0\x053.0.0")?;
    // SASL PLAIN's token, behind its length.
    let token = format!("\0{USER}\0{USER}");
    let length = u32::try_from(token.len()).unwrap_or(0).to_be_bytes();
    let (opcode, _) = exchange(&mut stream, AUTH_RESPONSE, &[&length, token.as_bytes()].concat())?;
    Ok((opcode == AUTH_SUCCESS).then_some(stream))
}

/// Sends a frame and gives opcode and body of the answer.
fn exchange(stream: &mut TcpStream, opcode: u8, body: &[u8]) -> std::io::Result<(u8, Vec<u8>)> {
    let length = u32::try_from(body.len()).unwrap_or(0).to_be_bytes();
    stream.write_all(&[&[4, 0, 0, 0, opcode], length.as_slice(), body].concat())?;
    let mut head = [0; 9];
    stream.read_exact(&mut head)?;
    let [_, _, _, _, opcode, a, b, c, d] = head;
    let mut answer = vec![0; usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(0)];
    stream.read_exact(&mut answer)?;
    Ok((opcode, answer))
}
