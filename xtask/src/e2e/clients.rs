//! The clients: how each is called, and whether it is there.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::{run, services};

/// The first of `needs` that is not on the machine; an error when `MILLSTREAM_REQUIRE` names it.
pub fn missing(needs: &[&'static str]) -> Result<Option<&'static str>> {
    let Some(missing) = needs.iter().find(|need| !is_there(need)) else { return Ok(None) };
    let required = std::env::var("MILLSTREAM_REQUIRE").unwrap_or_default();
    if required.split(',').any(|name| name.trim() == *missing) {
        bail!("MILLSTREAM_REQUIRE names {missing}, and it is not on this machine");
    }
    Ok(Some(missing))
}

/// A system is there when it runs, a client when it is on the PATH.
fn is_there(need: &str) -> bool {
    match services::known(need) {
        Ok(_) => services::instance().is_ok_and(|site| site.is_some_and(|site| site.runs(need))),
        Err(_) => run::on_path(need).is_some(),
    }
}

/// psql's answer to `query`: unaligned, columns separated by a blank, no headers.
pub fn psql(address: &str, query: &str) -> Result<String> {
    let answer = run::captured(psql_command(address)?.args(["-At", "-F", " ", "-c", query]))?;
    Ok(answer.trim_end().to_owned())
}

/// What psql prints for `command` (a query, or a command of its own such as `\d`) as a person sees it.
pub fn psql_page(address: &str, command: &str) -> Result<String> {
    run::captured(psql_command(address)?.args(["-P", "pager=off", "-c", command]))
}

fn psql_command(address: &str) -> Result<Command> {
    let (host, port) = address.rsplit_once(':').context("an address is host:port")?;
    let mut psql = Command::new("psql");
    psql.args(["-X", "-v", "ON_ERROR_STOP=1", "-h", host, "-p", port, "-U", "postgres", "-d", "postgres"]);
    psql.env("PGCONNECT_TIMEOUT", "10");
    Ok(psql)
}

/// Produces `lines` to `topic`, a record a line, and waits until all are acknowledged.
pub fn produce(bootstrap: &str, topic: &str, lines: &str) -> Result<()> {
    let mut kcat = Command::new("kcat");
    kcat.args(["-P", "-b", bootstrap, "-t", topic, "-X", "acks=all"]);
    let mut child = kcat.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().context("can't start kcat")?;
    child.stdin.take().context("kcat has no stdin")?.write_all(lines.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "kcat -P: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// How many records `topic` holds, by reading them all.
pub fn count(bootstrap: &str, topic: &str) -> Result<usize> {
    let offsets = run::captured(Command::new("kcat").args(["-C", "-e", "-q", "-b", bootstrap, "-t", topic, "-f", "%o\n"]))?;
    Ok(offsets.lines().count())
}

/// Deletes `topic`, by Kafka's DeleteTopics request (version 1): kcat has no command for it.
pub fn delete_topic(bootstrap: &str, topic: &str) -> Result<()> {
    const DELETE_TOPICS: u16 = 20;
    let string = |text: &str| [&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes(), text.as_bytes()].concat();
    // Header: key, version, correlation, client; body: one topic, 10 s.
    let request = [
        &DELETE_TOPICS.to_be_bytes()[..],
        &1_u16.to_be_bytes(),
        &7_u32.to_be_bytes(),
        &string("e2e"),
        &1_u32.to_be_bytes(),
        &string(topic),
        &10_000_u32.to_be_bytes(),
    ]
    .concat();
    let mut stream = TcpStream::connect(bootstrap).with_context(|| format!("can't reach {bootstrap}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(&u32::try_from(request.len())?.to_be_bytes())?;
    stream.write_all(&request)?;
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let mut answer = vec![0; u32::from_be_bytes(size) as usize];
    stream.read_exact(&mut answer)?;
    ensure!(answer.ends_with(&[0, 0]), "deleting topic {topic}: the answer ends with error code {:?}", answer.last_chunk::<2>());
    Ok(())
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header lines, in lower case.
    pub headers: String,
    /// The body.
    pub body: String,
}

/// `GET path` from `address`.
pub fn get(address: &str, path: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("can't reach {address}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAccept: */*\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).with_context(|| format!("GET {path}: the connection broke"))?;
    let text = String::from_utf8(bytes).with_context(|| format!("GET {path}: the answer is not UTF-8"))?;
    let (head, body) = text.split_once("\r\n\r\n").with_context(|| format!("GET {path}: not an HTTP answer: {text:?}"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status code")?;
    Ok(Answer { status, headers: head.to_lowercase(), body: body.to_owned() })
}
