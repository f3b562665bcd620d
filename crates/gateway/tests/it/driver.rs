//! The PostgreSQL endpoint with tokio-postgres: prepared statements in binary, transactions, errors, cancelling, bounds.

use chrono::{DateTime, NaiveDate, Utc};
use millstream_gateway::sql::SqlSettings;
use tokio::task::JoinSet;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::endpoint::Endpoint;

/// A client, and the task that drives its connection.
struct Connected {
    client: Client,
    _connection: JoinSet<()>,
}

impl std::ops::Deref for Connected {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl std::ops::DerefMut for Connected {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

async fn connect(endpoint: &Endpoint) -> Result<Connected, tokio_postgres::Error> {
    let config = format!("host=127.0.0.1 port={} user=ana dbname=millstream application_name=it", endpoint.address.port());
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        // What ends the connection is seen by the client's calls.
        let _ = connection.await;
    });
    Ok(Connected { client, _connection: tasks })
}

async fn first_text(client: &Client, sql: &str) -> Option<String> {
    let messages = client.simple_query(sql).await.unwrap();
    messages.iter().find_map(|m| if let SimpleQueryMessage::Row(row) = m { Some(row.get(0).map(str::to_owned)) } else { None }).flatten()
}

async fn state(client: &Client, sql: &str) -> String {
    let error = client.simple_query(sql).await.err().unwrap_or_else(|| panic!("{sql} succeeded"));
    error.code().unwrap_or_else(|| panic!("{sql}: {error}")).code().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_statement_takes_parameters_and_gives_binary_values() {
    let endpoint = Endpoint::start().await;
    let client = connect(&endpoint).await.unwrap();
    let sql = "SELECT c.carrier, a.name, c.flight_date, c.departures, c.avg_delay FROM carrier_daily c JOIN airlines a ON c.carrier = a.carrier \
               WHERE c.carrier = $1 AND c.departures >= $2 ORDER BY c.flight_date";
    let statement = client.prepare(sql).await.unwrap();
    assert_eq!(statement.params(), [Type::TEXT, Type::INT8]);
    let rows = client.query(&statement, &[&"UA", &100_i64]).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].get::<_, &str>("name"), "United Air Lines Inc.");
    assert_eq!(rows[0].get::<_, NaiveDate>("flight_date"), NaiveDate::from_ymd_opt(2013, 1, 1).unwrap());
    assert_eq!(rows[0].get::<_, i64>("departures"), 165);
    assert_eq!((rows[0].get::<_, Option<f64>>("avg_delay"), rows[1].get::<_, Option<f64>>("avg_delay")), (Some(12.5), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn sparks_types_are_postgresqls() {
    let endpoint = Endpoint::start().await;
    let client = connect(&endpoint).await.unwrap();
    let rows = client.query("SELECT * FROM every_type", &[]).await.unwrap();
    let types: Vec<String> = rows[0].columns().iter().map(|c| c.type_().name().to_owned()).collect();
    assert_eq!(
        types,
        ["bool", "int2", "int2", "int4", "int8", "float4", "float8", "numeric", "text", "bytea", "date", "timestamptz", "timestamp"]
    );
    let row = &rows[0];
    assert_eq!((row.get::<_, bool>(0), row.get::<_, i16>(1), row.get::<_, i64>(4)), (true, -7, i64::MAX));
    assert_eq!((row.get::<_, &str>(8), row.get::<_, &[u8]>(9)), ("é", b"\x00\xff".as_slice()));
    assert_eq!(row.get::<_, DateTime<Utc>>(11), "2013-07-22T19:00:00.000001Z".parse::<DateTime<Utc>>().unwrap());
    assert!(rows[1].get::<_, Option<i16>>(1).is_none() && rows[1].get::<_, Option<DateTime<Utc>>>(11).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn times_decimals_and_bytes_are_written_as_postgresql_writes_them() {
    let endpoint = Endpoint::start().await;
    let client = connect(&endpoint).await.unwrap();
    let text = async |column: &str| first_text(&client, &format!("SELECT {column} FROM every_type")).await.unwrap();
    assert_eq!(text("timestamp_").await, "2013-07-22 19:00:00.000001+00");
    assert_eq!(text("date_").await, "2013-07-22");
    assert_eq!(text("decimal_").await, "123.45");
    assert_eq!(text("binary_").await, "\\x00ff");
    assert_eq!(text("boolean_").await, "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_write_is_refused_and_says_why() {
    let endpoint = Endpoint::start().await;
    let client = connect(&endpoint).await.unwrap();
    for sql in [
        "INSERT INTO airlines VALUES ('XX', 'x')",
        "UPDATE airlines SET name = 'x'",
        "DELETE FROM airlines",
        "CREATE TABLE t (a INT)",
        "CREATE TABLE t AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "DROP TABLE airlines",
        "TRUNCATE airlines",
        "COPY airlines TO '/tmp/airlines.csv'",
        "COPY airlines FROM STDIN",
        "SELECT 1 AS one INTO t",
    ] {
        let code = state(&client, sql).await;
        // What PostgreSQL's own grammar doesn't have can't be parsed either.
        let expected = if sql.contains("EXTERNAL") { "42601" } else { "25006" };
        assert_eq!(code, expected, "{sql}");
    }
    let error = client.prepare("DELETE FROM airlines").await.err().unwrap();
    let error = error.as_db_error().unwrap();
    assert_eq!((error.code().code(), error.message()), ("25006", "cannot execute DELETE in a read-only transaction"));
    assert!(error.hint().unwrap().contains("only reads"));
    assert_eq!(first_text(&client, "SELECT count(*) FROM airlines").await.as_deref(), Some("2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_their_sqlstates_and_the_connection_goes_on() {
    let endpoint = Endpoint::start().await;
    let client = connect(&endpoint).await.unwrap();
    for (sql, code) in [
        ("SELEC 1", "42601"),
        ("SELECT * FROM nowhere", "42P01"),
        ("SELECT nothing FROM airlines", "42703"),
        ("SELECT nothing(1)", "42883"),
        ("SELECT 1 / 0 FROM numbers", "22012"),
        ("SHOW nothing_such", "42704"),
        ("SET statement_timeout = 'soon'", "22023"),
        ("FETCH 1 FROM nowhere", "34000"),
    ] {
        assert_eq!(state(&client, sql).await, code, "{sql}");
    }
    assert_eq!(first_text(&client, "SELECT 1").await.as_deref(), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_accepted_and_an_error_ends_them() {
    let endpoint = Endpoint::start().await;
    let mut client = connect(&endpoint).await.unwrap();
    let transaction = client.transaction().await.unwrap();
    assert_eq!(transaction.query("SELECT carrier FROM airlines", &[]).await.unwrap().len(), 2);
    transaction.commit().await.unwrap();
    client.simple_query("BEGIN").await.unwrap();
    assert_eq!(state(&client, "SELECT * FROM nowhere").await, "42P01");
    assert_eq!(state(&client, "SELECT 1").await, "25P02");
    client.simple_query("ROLLBACK").await.unwrap();
    assert_eq!(first_text(&client, "SELECT 1").await.as_deref(), Some("1"));
    for sql in [
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        "SAVEPOINT a",
        "RELEASE SAVEPOINT a",
        "SAVEPOINT b",
        "ROLLBACK TO SAVEPOINT b",
        "END",
    ] {
        client.simple_query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_statement_in_a_transaction_can_be_undone_by_a_savepoint() {
    let endpoint = Endpoint::start().await;
    let client = connect(&endpoint).await.unwrap();
    for sql in ["BEGIN", "SAVEPOINT a"] {
        client.simple_query(sql).await.unwrap();
    }
    assert_eq!(state(&client, "SELECT * FROM nowhere").await, "42P01");
    client.simple_query("ROLLBACK TO SAVEPOINT a").await.unwrap();
    assert_eq!(first_text(&client, "SELECT 1").await.as_deref(), Some("1"));
    client.simple_query("COMMIT").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_fetched_a_few_at_a_time() {
    let endpoint = Endpoint::start().await;
    let mut client = connect(&endpoint).await.unwrap();
    client.simple_query("BEGIN; DECLARE c CURSOR FOR SELECT n FROM numbers ORDER BY n").await.unwrap();
    let fetched = client.simple_query("FETCH 3 FROM c").await.unwrap();
    assert_eq!(fetched.iter().filter(|m| matches!(m, SimpleQueryMessage::Row(_))).count(), 3);
    assert_eq!(first_text(&client, "FETCH NEXT FROM c").await.as_deref(), Some("3"));
    client.simple_query("CLOSE c; COMMIT").await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("SELECT n FROM numbers ORDER BY n", &[]).await.unwrap();
    let (first, second) = (transaction.query_portal(&portal, 2).await.unwrap(), transaction.query_portal(&portal, 2).await.unwrap());
    let numbers: Vec<i64> = first.iter().chain(&second).map(|r| r.get(0)).collect();
    assert_eq!(numbers, [0, 1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_set_shown_and_reset() {
    let endpoint = Endpoint::start().await;
    let client = connect(&endpoint).await.unwrap();
    for sql in [
        "SET extra_float_digits = 3",
        "SET application_name TO 'other'",
        "SET SESSION search_path = system, public",
        "SET TIME ZONE 'UTC'",
        "SET NAMES 'UTF8'",
        "SET client_min_messages TO WARNING",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SET DateStyle = 'ISO, MDY'",
        "SHOW ALL",
    ] {
        client.simple_query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    assert_eq!(first_text(&client, "SHOW application_name").await.as_deref(), Some("other"));
    assert_eq!(first_text(&client, "SELECT current_setting('application_name')").await.as_deref(), Some("other"));
    assert_eq!(first_text(&client, "SELECT report FROM jobs").await.as_deref(), Some("carrier_daily"), "found by the search path");
    client.simple_query("RESET application_name; RESET search_path").await.unwrap();
    assert_eq!(first_text(&client, "SHOW application_name").await.as_deref(), Some(""));
    assert!(first_text(&client, "SHOW server_version").await.unwrap().starts_with("16.6 (Millstream"));
    assert_eq!(first_text(&client, "SHOW transaction_read_only").await.as_deref(), Some("on"));
    assert_eq!(client.query("SHOW TimeZone", &[]).await.unwrap()[0].get::<_, &str>(0), "UTC");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_statement_is_cancelled_at_the_clients_request() {
    let endpoint = Endpoint::start().await;
    let client = connect(&endpoint).await.unwrap();
    let token = client.cancel_token();
    for sql in ["SELECT * FROM endless", "SELECT count(*) FROM endless"] {
        let error = tokio::select! {
            result = client.simple_query(sql) => result.err().unwrap(),
            () = cancel_forever(&token) => unreachable!(),
        };
        assert_eq!(error.code().unwrap().code(), "57014", "{sql}");
    }
    let error = tokio::select! {
        result = client.query("SELECT * FROM endless", &[]) => result.err().unwrap(),
        () = cancel_forever(&token) => unreachable!(),
    };
    assert_eq!(error.code().unwrap().code(), "57014");
}

/// A request may come before the statement has begun, and then means nothing: so it is sent until it was heard.
async fn cancel_forever(token: &tokio_postgres::CancelToken) {
    loop {
        token.cancel_query(NoTls).await.unwrap();
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_ends_at_its_time_out() {
    let endpoint = Endpoint::start().await;
    let client = connect(&endpoint).await.unwrap();
    client.simple_query("SET statement_timeout = '20ms'").await.unwrap();
    let error = client.simple_query("SELECT * FROM endless").await.err().unwrap();
    assert_eq!(error.as_db_error().unwrap().message(), "canceling statement due to statement timeout");
    assert_eq!(error.code().unwrap().code(), "57014");
    assert_eq!(first_text(&client, "SELECT 1").await.as_deref(), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_beyond_the_bound_is_told_so() {
    let endpoint = Endpoint::with(SqlSettings { connections_max: 1, ..SqlSettings::default() }).await;
    let first = connect(&endpoint).await.unwrap();
    let refused = connect(&endpoint).await.err().unwrap();
    assert_eq!(refused.code().unwrap().code(), "53300");
    assert_eq!(first_text(&first, "SELECT 1").await.as_deref(), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_closes_idle_connections_and_waits_for_running_statements_no_longer_than_it_may() {
    let mut endpoint = Endpoint::with(SqlSettings { drain_s_max: 0, ..SqlSettings::default() }).await;
    let (idle, busy) = (connect(&endpoint).await.unwrap(), connect(&endpoint).await.unwrap());
    let running = busy.simple_query("SELECT * FROM endless");
    endpoint.shutdown.cancel();
    endpoint.running.join_next().await.unwrap().unwrap().unwrap();
    assert!(running.await.err().unwrap().is_closed());
    assert!(idle.simple_query("SELECT 1").await.err().unwrap().is_closed());
}
