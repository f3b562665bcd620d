//! A peer that speaks CQL on loopback and answers as Apache Cassandra or Cosmos DB for Apache Cassandra does, as far as the adapter goes: with
//! a login, tables, conditional writes, a change feed by paging state, and refusals, empty pages and late answers where a test asks for
//! them. It notes what it was asked.

mod cql;
mod frame;
mod tables;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use frame::{Parameters, Reader, Request};
use tables::{Outcome, Tables};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

pub use frame::Bound;

/// The code of the error with which a request is refused for its rate.
const OVERLOADED: u32 = 0x1001;
/// The code of a statement that is refused for what it says.
pub const INVALID: u32 = 0x2200;

/// What the peer does instead of what it was asked for.
#[derive(Clone, Debug)]
enum Fault {
    Error(u32, String),
    /// An empty page behind which the feed goes on where it was.
    EmptyPage,
    /// No answer at all.
    Silence,
}

/// A statement that the peer was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    pub cql: String,
    pub consistency: u16,
    pub serial_consistency: Option<u16>,
    pub values: Vec<Bound>,
    pub page_size: Option<i32>,
    pub paging_state: Option<Vec<u8>>,
    pub is_prepared: bool,
}

#[derive(Default)]
struct State {
    tables: Tables,
    prepared: BTreeMap<Vec<u8>, String>,
    faults: Vec<(String, usize, Fault)>,
    holds: Vec<(String, Hold)>,
    unprepared: Vec<String>,
    asked: Vec<Asked>,
    logins: Vec<Vec<u8>>,
}

/// A statement that the peer carries out when a test says so.
#[derive(Clone, Default)]
pub struct Hold {
    came: Arc<Notify>,
    let_go: Arc<Notify>,
}

impl Hold {
    /// Resolves when the statement has come.
    pub async fn until_it_came(&self) {
        self.came.notified().await;
    }

    /// Lets the peer carry it out.
    pub fn let_go(&self) {
        self.let_go.notify_one();
    }
}

/// A server on loopback.
pub struct Peer {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

impl Peer {
    /// One that answers as Cosmos DB does.
    pub async fn cosmos_db() -> Self {
        Self::start(true).await
    }

    /// One that answers as Apache Cassandra does.
    pub async fn cassandra() -> Self {
        Self::start(false).await
    }

    async fn start(is_cosmos_db: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, state) = (listener.local_addr().unwrap(), Arc::<Mutex<State>>::default());
        state.lock().unwrap().tables.is_cosmos_db = is_cosmos_db;
        let (shared, mut tasks) = (state.clone(), JoinSet::new());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(serve(socket, shared.clone()));
            }
        });
        Self { address, state, _tasks: tasks }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn add(&self, about: &str, times: usize, fault: Fault) {
        self.state().faults.push((about.to_owned(), times, fault));
    }

    /// The next `times` statements that contain `about` are refused for their rate, with `message`.
    pub fn refuse(&self, about: &str, times: usize, message: &str) {
        self.add(about, times, Fault::Error(OVERLOADED, message.to_owned()));
    }

    /// The next statement that contains `about` fails with the error `code`.
    pub fn fail(&self, about: &str, code: u32, message: &str) {
        self.add(about, 1, Fault::Error(code, message.to_owned()));
    }

    /// The next `times` pages of the change feed are empty.
    pub fn empty_pages(&self, times: usize) {
        self.add("COSMOS_CHANGEFEED", times, Fault::EmptyPage);
    }

    /// The next statement that contains `about` is never answered.
    pub fn stay_silent(&self, about: &str) {
        self.add(about, 1, Fault::Silence);
    }

    /// The next request to prepare a statement that contains `about` is never answered.
    pub fn never_prepare(&self, about: &str) {
        self.state().unprepared.push(about.to_owned());
    }

    /// The next statement that contains `about` waits, and with it its connection.
    pub fn hold(&self, about: &str) -> Hold {
        let hold = Hold::default();
        self.state().holds.push((about.to_owned(), hold.clone()));
        hold
    }

    /// The statements that contain `about`, since the peer was asked for them last.
    pub fn asked(&self, about: &str) -> Vec<Asked> {
        let (about_it, others) = std::mem::take(&mut self.state().asked).into_iter().partition(|a| a.cql.contains(about));
        self.state().asked = others;
        about_it
    }

    /// What was answered to the demand for a login.
    pub fn logins(&self) -> Vec<Vec<u8>> {
        self.state().logins.clone()
    }

    /// What was written behind WITH when `table` was created; `None` where it is absent.
    pub fn options(&self, table: &str) -> Option<String> {
        self.state().tables.tables.get(table).map(|t| t.options.clone())
    }

    /// Takes all rows of `table` away, as time does with those that have a TTL.
    pub fn expire(&self, table: &str) {
        self.state().tables.expire(table);
    }

    /// Runs a statement as another service would.
    pub fn run(&self, cql: &str, values: &[Bound]) {
        let parameters = Parameters { values: values.to_vec(), ..Parameters::default() };
        self.state().tables.run(&cql::parse(cql), &parameters);
    }
}

async fn serve(mut socket: TcpStream, state: Arc<Mutex<State>>) -> io::Result<()> {
    while let Some(request) = frame::read(&mut socket).await? {
        let hold = held(&mut state.lock().unwrap(), &request);
        if let Some(hold) = hold {
            hold.came.notify_one();
            hold.let_go.notified().await;
        }
        let answer = answer(&mut state.lock().unwrap(), request.opcode, &request.body);
        if let Some((opcode, body)) = answer {
            frame::write(&mut socket, request.stream, opcode, &body).await?;
        }
    }
    Ok(())
}

/// Whether a statement has to wait.
fn held(state: &mut State, request: &Request) -> Option<Hold> {
    let mut reader = Reader(&request.body);
    let cql = match request.opcode {
        frame::QUERY => reader.long_string(),
        frame::EXECUTE => state.prepared[&reader.short_bytes()].clone(),
        _ => return None,
    };
    let at = state.holds.iter().position(|(about, _)| cql.contains(about.as_str()))?;
    Some(state.holds.remove(at).1)
}

/// The answer to a request; `None`: there is none.
fn answer(state: &mut State, opcode: u8, body: &[u8]) -> Option<(u8, Vec<u8>)> {
    let mut reader = Reader(body);
    match opcode {
        frame::OPTIONS => Some((frame::SUPPORTED, vec![0, 0])),
        frame::STARTUP => {
            let mut body = Vec::new();
            frame::string(&mut body, "org.apache.cassandra.auth.PasswordAuthenticator");
            Some((frame::AUTHENTICATE, body))
        }
        frame::AUTH_RESPONSE => {
            state.logins.push(reader.value().bytes().unwrap().to_vec());
            let mut body = Vec::new();
            frame::bytes(&mut body, None);
            Some((frame::AUTH_SUCCESS, body))
        }
        frame::REGISTER => Some((frame::READY, Vec::new())),
        frame::PREPARE | frame::QUERY if is_foreign(&reader) => Some(error(INVALID, "unconfigured table")),
        frame::QUERY => {
            let cql = reader.long_string();
            statement(state, &cql, &reader.parameters(), false)
        }
        frame::PREPARE => {
            let cql = reader.long_string();
            if let Some(at) = state.unprepared.iter().position(|about| cql.contains(about.as_str())) {
                state.unprepared.remove(at);
                return None;
            }
            Some((frame::RESULT, prepare(state, &cql)))
        }
        frame::EXECUTE => {
            let cql = state.prepared[&reader.short_bytes()].clone();
            statement(state, &cql, &reader.parameters(), true)
        }
        frame::BATCH => batch(state, &mut reader),
        other => panic!("the peer knows no opcode {other}"),
    }
}

/// Whether a statement is about a table that only ScyllaDB has.
fn is_foreign(reader: &Reader<'_>) -> bool {
    Reader(reader.0).long_string().contains("system_schema.scylla_")
}

/// The fault that a statement meets.
fn fault(state: &mut State, cql: &str) -> Option<Fault> {
    let (_, left, fault) = state.faults.iter_mut().find(|(about, left, _)| *left > 0 && cql.contains(about.as_str()))?;
    *left -= 1;
    Some(fault.clone())
}

fn error(code: u32, message: &str) -> (u8, Vec<u8>) {
    let mut body = code.to_be_bytes().to_vec();
    frame::string(&mut body, message);
    (frame::ERROR, body)
}

fn statement(state: &mut State, cql: &str, parameters: &Parameters, is_prepared: bool) -> Option<(u8, Vec<u8>)> {
    let Parameters { values, consistency, serial_consistency, page_size, paging_state } = parameters.clone();
    state.asked.push(Asked { cql: cql.to_owned(), consistency, serial_consistency, values, page_size, paging_state, is_prepared });
    let parsed = cql::parse(cql);
    let outcome = match fault(state, cql) {
        Some(Fault::Error(code, message)) => return Some(error(code, &message)),
        Some(Fault::Silence) => return None,
        Some(Fault::EmptyPage) => match state.tables.run(&parsed, parameters) {
            Outcome::Rows { columns, .. } => {
                let here = parameters.paging_state.clone().unwrap_or_else(|| 0_u64.to_be_bytes().to_vec());
                Outcome::Rows { columns, rows: Vec::new(), next: Some(here) }
            }
            other => other,
        },
        None => state.tables.run(&parsed, parameters),
    };
    Some((frame::RESULT, result(parsed.table(), &outcome)))
}

fn batch(state: &mut State, reader: &mut Reader<'_>) -> Option<(u8, Vec<u8>)> {
    assert_eq!(reader.byte(), 1, "batches are unlogged");
    let parts: Vec<(String, Vec<Bound>)> = (0..reader.short())
        .map(|_| {
            assert_eq!(reader.byte(), 1, "a batch's statements are prepared");
            (state.prepared[&reader.short_bytes()].clone(), reader.values())
        })
        .collect();
    let consistency = reader.short();
    let cql = format!("BATCH {}", parts.iter().map(|(cql, _)| cql.as_str()).collect::<Vec<_>>().join("; "));
    state.asked.push(Asked {
        cql: cql.clone(),
        consistency,
        serial_consistency: None,
        values: Vec::new(),
        page_size: None,
        paging_state: None,
        is_prepared: true,
    });
    match fault(state, &cql) {
        Some(Fault::Error(code, message)) => return Some(error(code, &message)),
        Some(_) => return None,
        None => {}
    }
    for (cql, values) in parts {
        state.tables.run(&cql::parse(&cql), &Parameters { values, ..Parameters::default() });
    }
    Some((frame::RESULT, result("", &Outcome::Void)))
}

fn prepare(state: &mut State, cql: &str) -> Vec<u8> {
    let id = u32::try_from(state.prepared.len()).unwrap().to_be_bytes().to_vec();
    state.prepared.insert(id.clone(), cql.to_owned());
    let parsed = cql::parse(cql);
    let markers: tables::Columns = parsed.markers().into_iter().map(|m| (m.clone(), state.tables.type_of(parsed.table(), &m))).collect();
    let mut body = 4_u32.to_be_bytes().to_vec();
    body.extend(u16::try_from(id.len()).unwrap().to_be_bytes());
    body.extend(id);
    frame::int(&mut body, 1);
    frame::int(&mut body, markers.len());
    frame::int(&mut body, 0);
    specifications(&mut body, parsed.table(), &markers);
    // The result's columns come with each answer.
    frame::int(&mut body, 4);
    frame::int(&mut body, 0);
    body
}

/// The one table of all columns, then each column's name and type.
fn specifications(body: &mut Vec<u8>, table: &str, columns: &tables::Columns) {
    frame::string(body, "ks");
    frame::string(body, table);
    for (name, cql) in columns {
        frame::string(body, name);
        frame::cql_type(body, cql);
    }
}

fn result(table: &str, outcome: &Outcome) -> Vec<u8> {
    match outcome {
        Outcome::Void => 1_u32.to_be_bytes().to_vec(),
        Outcome::SchemaChange { kind, table } => {
            let mut body = 5_u32.to_be_bytes().to_vec();
            [*kind, "TABLE", "ks", table.as_str()].into_iter().for_each(|text| frame::string(&mut body, text));
            body
        }
        Outcome::Rows { columns, rows, next } => {
            let mut body = 2_u32.to_be_bytes().to_vec();
            frame::int(&mut body, if next.is_some() { 3 } else { 1 });
            frame::int(&mut body, columns.len());
            if let Some(next) = next {
                frame::bytes(&mut body, Some(next));
            }
            specifications(&mut body, table, columns);
            frame::int(&mut body, rows.len());
            rows.iter().flatten().for_each(|cell| frame::bytes(&mut body, cell.as_deref()));
            body
        }
    }
}
