#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use clap::Parser;

use super::*;
use crate::cli::{Cli, Command};

/// Where `publish-flights ARGUMENTS` publishes, with `toml` in the file that CONFIG names.
fn destination_of(arguments: &[&str], toml: &str) -> Result<(Endpoint, String)> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("engines.toml");
    std::fs::write(&file, toml).unwrap();
    let file = file.to_str().unwrap();
    let arguments = arguments.iter().map(|argument| if *argument == "CONFIG" { file } else { argument });
    let cli = Cli::try_parse_from(["millstream", "publish-flights"].into_iter().chain(arguments)).unwrap();
    let Command::PublishFlights(args) = cli.command else { panic!("publish-flights") };
    destination(&args)
}

#[test]
fn the_configuration_alone_says_where_flights_go() {
    let kafka = "[kafka]\nbootstrap_servers = \"broker:9093\"\nusername = \"u\"\npassword = { env = \"KAFKA_PASSWORD\" }\n";
    let (endpoint, topic) = destination_of(&["--config", "CONFIG"], kafka).unwrap();
    let Endpoint::Cluster(cluster) = endpoint else { panic!("a cluster") };
    assert_eq!((cluster.bootstrap_servers.as_str(), cluster.username.as_deref()), ("broker:9093", Some("u")));
    assert!(cluster.password.is_some());
    assert_eq!(topic, "flights");

    let renamed = format!("{kafka}[tables.flights]\nsubscribe = \"flights-2013\"\n");
    assert_eq!(destination_of(&["--config", "CONFIG"], &renamed).unwrap().1, "flights-2013");
    assert_eq!(destination_of(&["--config", "CONFIG", "--topic", "mine"], &renamed).unwrap().1, "mine");
}

#[test]
fn without_a_cluster_flights_go_to_the_built_in_endpoint() {
    let listen = |address: &str| destination_of(&["--config", "CONFIG"], &format!("[listen]\nkafka = \"{address}\"\n"));
    assert_eq!(listen("127.0.0.1:19092").unwrap().0, Endpoint::Plain("127.0.0.1:19092".to_owned()));
    assert!(listen("127.0.0.1:0").unwrap_err().to_string().contains("--bootstrap"));
}

#[test]
fn an_endpoint_that_is_named_needs_no_configuration() {
    let (endpoint, topic) = destination_of(&["--bootstrap", "127.0.0.1:9092"], "").unwrap();
    assert_eq!((endpoint, topic.as_str()), (Endpoint::Plain("127.0.0.1:9092".to_owned()), "flights"));
    assert!(Cli::try_parse_from(["millstream", "publish-flights", "--bootstrap", "b:1", "--config", "f"]).is_err());
}
