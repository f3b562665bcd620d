//! Apache Kafka in KRaft mode: one node, broker and controller at once, with a plain, a SASL and a mutual-TLS listener.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use toml::Table;

use super::install;
use super::site::{Site, random_hex};
use super::system::{System, secret, table};
use crate::run;

const POM: &str = include_str!("kafka/pom.xml");
const JARS: &str = "kafka-4.3.1";
const NAME: &str = "kafka";
const USER: &str = "millstream";

/// Apache Kafka.
pub struct Kafka;

impl System for Kafka {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ports(&self) -> &'static [&'static str] {
        &["port", "controller_port", "sasl_ssl_port", "mutual_tls_port"]
    }

    fn prepare(&self, site: &Site) -> Result<()> {
        std::fs::write(site.dir(NAME).join("server.properties"), properties(site)?)?;
        // A cluster's id is 16 bytes in URL-safe base64.
        let id = format!("{:.21}A", random_hex()?);
        let scram = format!("SCRAM-SHA-256=[name={USER},password={}]", site.secret(NAME)?);
        let format = ["kafka.tools.StorageTool", "format", "-t", &id, "-c", "server.properties", "--add-scram", &scram];
        run::captured(java(&[])?.current_dir(site.dir(NAME)).args(format))?;
        Ok(())
    }

    fn command(&self, _site: &Site) -> Result<Command> {
        let mut java = java(&["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC"])?;
        java.args(["kafka.Kafka", "server.properties"]);
        Ok(java)
    }

    /// Asks for the cluster's metadata (Metadata request, version 0): a broker that is ready is in its own answer.
    fn answers(&self, site: &Site) -> bool {
        brokers(&site.address(NAME, "port")).is_ok_and(|count| count > 0)
    }

    fn settings(&self, site: &Site) -> Table {
        table([("bootstrap_servers", site.address(NAME, "port").into())])
    }

    fn extras(&self, site: &Site) -> Table {
        table([
            ("sasl_ssl", site.address(NAME, "sasl_ssl_port").into()),
            ("mutual_tls", site.address(NAME, "mutual_tls_port").into()),
            ("username", USER.into()),
            ("password", secret(&site.secret_file(NAME))),
        ])
    }
}

fn java(options: &[&str]) -> Result<Command> {
    let jars = install::jars(JARS, POM)?;
    let mut java = install::java()?;
    java.args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true"]);
    java.args(options).arg("-cp").arg(format!("{}/*", jars.display()));
    Ok(java)
}

fn properties(site: &Site) -> Result<String> {
    let [plain, controller, sasl, mutual] =
        ["port", "controller_port", "sasl_ssl_port", "mutual_tls_port"].map(|key| site.address(NAME, key));
    let password = site.secret(NAME)?;
    let data = site.dir(NAME).join("data");
    let [store, authority] = ["server-store.pem", "ca.pem"].map(|file| site.certificate(file));
    let security = "org.apache.kafka.common.security";
    Ok(format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{plain},SASL_SSL://{sasl},MUTUAL://{mutual},CONTROLLER://{controller}
advertised.listeners=PLAINTEXT://{plain},SASL_SSL://{sasl},MUTUAL://{mutual}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,MUTUAL:SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
# One node: the internal topics can't have the copies that they have by default.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Tests' groups don't wait for members that never come.
group.initial.rebalance.delay.ms=0
ssl.keystore.type=PEM
ssl.keystore.location={store}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
listener.name.mutual.ssl.client.auth=required
listener.name.sasl_ssl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,OAUTHBEARER
listener.name.sasl_ssl.plain.sasl.jaas.config={security}.plain.PlainLoginModule required user_{USER}=\"{password}\";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config={security}.scram.ScramLoginModule required;
listener.name.sasl_ssl.oauthbearer.sasl.jaas.config={security}.oauthbearer.OAuthBearerLoginModule required \
         unsecuredLoginStringClaim_sub=\"broker\";
",
        data = data.display(),
        store = store.display(),
        authority = authority.display(),
    ))
}

/// Deletes the topics whose names match `pattern`, if there are any.
pub fn delete_topics(site: &Site, pattern: &str) -> Result<()> {
    topics(site, &["--delete", "--if-exists", "--topic", pattern])
}

/// Makes a topic that keeps its records whatever their age, for flights are of 2013.
pub fn create_topic(site: &Site, topic: &str, partitions: u32) -> Result<()> {
    topics(site, &["--create", "--topic", topic, "--partitions", &partitions.to_string(), "--config", "retention.ms=-1"])
}

fn topics(site: &Site, arguments: &[&str]) -> Result<()> {
    let mut tool = java(&[])?;
    tool.args(["org.apache.kafka.tools.TopicCommand", "--bootstrap-server", &site.address(NAME, "port")]);
    run::captured(tool.args(arguments))?;
    Ok(())
}

/// How many brokers the one at `address` knows.
fn brokers(address: &str) -> std::io::Result<u32> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    // Length; API key 3, version 0; correlation id; no client id; no topics, which is all of them.
    stream.write_all(&[0, 0, 0, 14, 0, 3, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0])?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    let [.., a, b, c, d] = head;
    Ok(u32::from_be_bytes([a, b, c, d]))
}
