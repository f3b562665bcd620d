//! MySQL's protocol, tested on MariaDB: the contract suite of reference tables, types, secrets, TLS.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::{Arc, Mutex};

use arrow::datatypes::{DataType, Field, Schema};
use futures::executor::block_on;
use millstream_adapters::connection::{Secret, TlsSettings};
use millstream_adapters::mysql::{MysqlReferenceSource, MysqlSettings, ZeroDates, probe};
use millstream_adapters::relational::ReferenceTable;
use millstream_core::ErrorKind;
use millstream_core::ports::ReferenceSource;
use millstream_testkit::rows::{Cell, Row, rows_of};
use millstream_testkit::{OnData, row, suite};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};

use crate::services;

/// Tables of a test's own, dropped at its end.
#[derive(Clone)]
struct Tables {
    settings: MysqlSettings,
    made: Arc<Mutex<Vec<String>>>,
}

async fn owner(settings: &MysqlSettings) -> Conn {
    let options = OptsBuilder::from_opts(Opts::from_url(&settings.url).unwrap());
    let password = settings.password.as_ref().unwrap().read("password").unwrap();
    Conn::new(options.pass(Some(password.expose().to_owned())).prefer_socket(false)).await.unwrap()
}

impl Tables {
    fn new() -> Option<Self> {
        Some(Self { settings: services::settings("mysql", &["mysql"])?, made: Arc::default() })
    }

    fn next(&self) -> String {
        let name = tempfile::Builder::new().prefix("ms_").rand_bytes(12).tempdir().unwrap();
        let name = name.path().file_name().unwrap().to_str().unwrap().to_lowercase();
        self.made.lock().unwrap().push(name.clone());
        name
    }

    /// A new table of `columns`, and a connection that changes it.
    async fn make(&self, columns: &str) -> (String, Conn) {
        let name = self.next();
        let mut owner = owner(&self.settings).await;
        owner.query_drop("SET sql_mode = '', time_zone = '+00:00'").await.unwrap();
        owner.query_drop(format!("CREATE TABLE {name} ({columns}) ENGINE = InnoDB")).await.unwrap();
        (name, owner)
    }

    fn source(&self, name: &str, columns: Option<Vec<Field>>) -> MysqlReferenceSource {
        let columns = columns.map(|c| Arc::new(Schema::new(c)));
        MysqlReferenceSource::new(self.settings.clone(), ReferenceTable { dbtable: name.to_owned(), filter: None, columns }).unwrap()
    }

    async fn drop_all(&self) {
        let mut owner = owner(&self.settings).await;
        let made = std::mem::take(&mut *self.made.lock().unwrap());
        for name in made {
            owner.query_drop(format!("DROP TABLE IF EXISTS {name}")).await.unwrap();
        }
        owner.disconnect().await.unwrap();
    }
}

async fn load(source: &MysqlReferenceSource) -> Vec<Row> {
    source.load().await.unwrap().iter().flat_map(|b| rows_of(b).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn reference_source() {
    let Some(tables) = Tables::new() else { return };
    let harness = || {
        let tables = tables.clone();
        OnData::new(tables.next(), move |name: Arc<String>, _| {
            let tables = tables.clone();
            async move {
                let mut conn = owner(&tables.settings).await;
                let make = format!("CREATE TABLE IF NOT EXISTS {name} (id BIGINT, name TEXT) ENGINE = InnoDB");
                conn.query_drop(make).await.unwrap();
                let (conn, table) = (Arc::new(Mutex::new(conn)), name.clone());
                let replace: suite::reference_source::Replace = Arc::new(move |rows: &[Row]| {
                    let values = rows.iter().map(|r| match (&r[0], &r[1]) {
                        (Cell::Int(id), Cell::Str(text)) => format!("({id}, '{text}')"),
                        (Cell::Int(id), _) => format!("({id}, NULL)"),
                        other => panic!("{other:?}"),
                    });
                    let insert = format!("INSERT INTO {table} VALUES {}", values.collect::<Vec<_>>().join(", "));
                    let delete = format!("DELETE FROM {table}");
                    let work = || {
                        let mut conn = conn.lock().unwrap();
                        block_on(async {
                            for text in ["START TRANSACTION", &delete, &insert, "COMMIT"] {
                                conn.query_drop(text).await.unwrap();
                            }
                        });
                    };
                    std::thread::scope(|scope| scope.spawn(work).join().unwrap());
                    Ok(())
                });
                Ok(suite::reference_source::Port { source: Arc::new(tables.source(&name, None)), replace })
            }
        })
    };
    let report = suite::reference_source::run("mysql", harness).await;
    tables.drop_all().await;
    report.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_read_exactly_or_refused() {
    let Some(tables) = Tables::new() else { return };
    let columns = "ti TINYINT, tu TINYINT UNSIGNED, si SMALLINT, su SMALLINT UNSIGNED, mi MEDIUMINT, mu MEDIUMINT UNSIGNED, i INT, \
         iu INT UNSIGNED, bi BIGINT, bu BIGINT UNSIGNED, d DECIMAL(38, 6), du DECIMAL(5, 0) UNSIGNED, f FLOAT, dd DOUBLE, b1 BIT(1), \
         b9 BIT(9), b64 BIT(64), da DATE, dt DATETIME(6), ts TIMESTAMP(6) NULL, y YEAR, ti6 TIME(6), c CHAR(3), v VARCHAR(10) CHARACTER SET latin1, \
         t TEXT, bin BINARY(3), vb VARBINARY(10), bl BLOB, e ENUM('a', 'b'), s SET('x', 'y'), j JSON";
    let (name, mut owner) = tables.make(columns).await;
    let insert = format!(
        "INSERT INTO {name} VALUES (-128, 255, -32768, 65535, -8388608, 16777215, -2147483648, 4294967295, -9223372036854775808, \
         18446744073709551615, -99999999999999999999999999999999.999999, 99999, 1.5, -1.7976931348623157e308, b'1', b'100000001', \
         0xFFFFFFFFFFFFFFFF, '9999-12-31', '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07.999999', 2155, '-838:59:59', 'é', 'ÿ', \
         '日本😀', 0x00FF, 0x00, 0xFFFE, 'b', 'x,y', '{{\"a\": 1.10}}')"
    );
    owner.query_drop(insert).await.unwrap();
    owner.query_drop(format!("INSERT INTO {name} () VALUES ()")).await.unwrap();
    let loaded = load(&tables.source(&name, None)).await;
    let expected: Row = vec![
        Cell::Int(-128),
        Cell::Int(255),
        Cell::Int(-32_768),
        Cell::Int(65_535),
        Cell::Int(-8_388_608),
        Cell::Int(16_777_215),
        Cell::Int(i32::MIN.into()),
        Cell::Int(u32::MAX.into()),
        Cell::Int(i64::MIN),
        Cell::Decimal(u64::MAX.into()),
        Cell::Decimal(1 - 10_i128.pow(38)),
        Cell::Decimal(99_999),
        Cell::Float(1.5),
        Cell::Float(f64::MIN),
        Cell::Bool(true),
        Cell::Int(257),
        Cell::Decimal(u64::MAX.into()),
        Cell::Date(2_932_896),
        Cell::Time(253_402_300_799_999_999),
        Cell::Time(2_147_483_647_999_999),
        Cell::Int(2155),
        "-838:59:59".into(),
        "é".into(),
        "ÿ".into(),
        "日本😀".into(),
        Cell::Bytes(vec![0, 255, 0]),
        Cell::Bytes(vec![0]),
        Cell::Bytes(vec![255, 254]),
        "b".into(),
        "x,y".into(),
        "{\"a\": 1.10}".into(),
    ];
    assert_eq!(loaded[0], expected);
    assert_eq!(loaded[1], vec![Cell::Null; expected.len()]);
    let declared = |name_of: &str, data_type| tables.source(&name, Some(vec![Field::new(name_of, data_type, true)]));
    for (column, data_type) in [("bi", DataType::Int32), ("ti", DataType::Boolean), ("d", DataType::Decimal128(38, 5))] {
        let error = declared(column, data_type).load().await.unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains(&format!("column {column}")), "{error}");
    }
    assert_eq!(load(&declared("bu", DataType::Utf8)).await[0], row!["18446744073709551615"]);
    let refused = declared("t", DataType::Int64).schema().await.unwrap_err();
    assert!(refused.to_string().contains("text"), "{refused}");
    tables.drop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dates_that_are_none_name_their_row_or_are_null() {
    let Some(tables) = Tables::new() else { return };
    let (name, mut owner) = tables.make("code VARCHAR(3) PRIMARY KEY, since DATE, at DATETIME").await;
    owner.query_drop(format!("INSERT INTO {name} VALUES ('EWR', '2013-01-01', NULL), ('JFK', '0000-00-00', '2013-02-00')")).await.unwrap();
    let error = tables.source(&name, None).load().await.unwrap_err().to_string();
    for part in ["column since", "code", "JFK", "0000-00-00", "zero_dates"] {
        assert!(error.contains(part), "{error} lacks {part}");
    }
    let lenient = Tables { settings: MysqlSettings { zero_dates: ZeroDates::Null, ..tables.settings.clone() }, ..tables.clone() };
    let loaded = load(&lenient.source(&name, None)).await;
    assert_eq!(loaded, [row!["EWR", Cell::Date(15_706), Cell::Null], row!["JFK", Cell::Null, Cell::Null]]);
    tables.drop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_applies_the_filter_and_sends_the_declared_columns() {
    let Some(tables) = Tables::new() else { return };
    let (name, mut owner) = tables.make("id INT PRIMARY KEY, `Na``me` TEXT, ignored POINT").await;
    owner.query_drop(format!("INSERT INTO {name} (id, `Na``me`) VALUES (1, 'a'), (2, 'b'), (3, 'c')")).await.unwrap();
    let columns = Some(Arc::new(Schema::new(vec![Field::new("na`me", DataType::Utf8, false), Field::new("id", DataType::Int64, false)])));
    let table = ReferenceTable { dbtable: name.clone(), filter: Some("id > 1 -- not the first".into()), columns };
    let source = MysqlReferenceSource::new(tables.settings.clone(), table).unwrap();
    assert_eq!(load(&source).await, [row!["b", 2], row!["c", 3]]);
    let error = tables.source(&name, None).schema().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unsupported && error.to_string().contains("ignored"), "{error}");
    let missing = tables.source("nowhere", None).schema().await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
    tables.drop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_password_is_picked_up_and_a_wrong_one_is_named() {
    let Some(tables) = Tables::new() else { return };
    let user = tables.next();
    let mut owner = owner(&tables.settings).await;
    owner.query_drop(format!("CREATE USER {user}@'%' IDENTIFIED BY 'first'")).await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "first\n").unwrap();
    let password = Some(Secret::File(file.path().to_owned()));
    // What everybody may read.
    let url = tables.settings.url.replace("/reference", "/information_schema");
    let settings = MysqlSettings { url, user: Some(user.clone()), password, ..tables.settings.clone() };
    assert!(probe(&settings).await.unwrap().starts_with("MariaDB "));
    owner.query_drop(format!("ALTER USER {user}@'%' IDENTIFIED BY 'second'")).await.unwrap();
    let error = probe(&settings).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("mysql.password") && !error.to_string().contains("first"), "{error}");
    std::fs::write(file.path(), "second").unwrap();
    assert!(probe(&settings).await.is_ok());
    owner.query_drop(format!("DROP USER {user}@'%'")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_to_be_trusted_is_refused() {
    #[derive(serde::Deserialize)]
    struct Authorities {
        ca_file: std::path::PathBuf,
        other_ca_file: std::path::PathBuf,
    }
    let Some(authorities) = services::settings::<Authorities>("mysql", &["services", "tls"]) else { return };
    let Some(tables) = Tables::new() else { return };
    let with = |file: &std::path::Path| MysqlSettings {
        url: format!("{}?ssl-mode=required", tables.settings.url),
        tls: TlsSettings { ca_file: Some(file.to_owned()), ..TlsSettings::default() },
        ..tables.settings.clone()
    };
    assert!(probe(&with(&authorities.ca_file)).await.is_ok());
    let error = probe(&with(&authorities.other_ca_file)).await.unwrap_err();
    assert!(error.to_string().contains("mysql.tls.ca_file"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_accepts_and_never_answers_is_unavailable() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = MysqlSettings { connect_timeout_ms: 300, ..MysqlSettings::new(format!("mysql://u@{}/x", silent.local_addr().unwrap())) };
    assert_eq!(probe(&settings).await.unwrap_err().kind(), ErrorKind::Unavailable);
}
