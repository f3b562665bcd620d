#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::*;

fn refusal(sql: &str) -> Option<String> {
    let statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    refused(&statements[0])
}

#[test]
fn what_reads_is_let_through() {
    for sql in [
        "SELECT 1",
        "VALUES (1), (2)",
        "WITH a AS (SELECT 1) SELECT * FROM a UNION SELECT 2",
        "EXPLAIN ANALYZE SELECT 1",
        "PREPARE p AS SELECT $1",
        "EXECUTE p(1)",
        "DEALLOCATE p",
        "DECLARE c CURSOR FOR SELECT 1",
        "FETCH 10 FROM c",
        "CLOSE c",
        "SHOW server_version",
        "SET statement_timeout = 5",
        "RESET ALL",
        "DISCARD ALL",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT a",
        "RELEASE SAVEPOINT a",
    ] {
        assert_eq!(refusal(sql), None, "{sql}");
    }
}

#[test]
fn what_writes_is_refused_by_its_name() {
    for (sql, name) in [
        ("INSERT INTO t VALUES (1)", "INSERT"),
        ("UPDATE t SET a = 1", "UPDATE"),
        ("DELETE FROM t", "DELETE"),
        ("TRUNCATE t", "TRUNCATE"),
        ("CREATE TABLE t (a INT)", "CREATE TABLE"),
        ("CREATE VIEW v AS SELECT 1", "CREATE VIEW"),
        ("DROP TABLE t", "DROP TABLE"),
        ("ALTER TABLE t ADD COLUMN a INT", "ALTER TABLE"),
        ("COPY t FROM STDIN", "COPY"),
        ("COPY (SELECT 1) TO 'file'", "COPY"),
        ("GRANT SELECT ON t TO u", "GRANT"),
        ("SELECT 1 INTO t", "SELECT INTO"),
        ("WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone", "DELETE"),
        ("EXPLAIN ANALYZE DELETE FROM t", "DELETE"),
        ("PREPARE p AS INSERT INTO t VALUES (1)", "INSERT"),
        ("CALL p()", "CALL"),
    ] {
        assert_eq!(refusal(sql).as_deref(), Some(name), "{sql}");
    }
}

#[test]
fn an_array_of_a_subquery_is_an_aggregate_where_that_is_the_same() {
    let rewritten = |sql: &str| {
        let mut statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
        aggregate_array_subqueries(&mut statement);
        statement.to_string()
    };
    assert_eq!(
        rewritten("SELECT r.a, ARRAY(SELECT m.b AS c FROM m WHERE m.a = r.a) FROM r"),
        "SELECT r.a, (SELECT array_agg(m.b) AS c FROM m WHERE m.a = r.a) FROM r"
    );
    for same in ["SELECT ARRAY(SELECT a FROM m ORDER BY a)", "SELECT ARRAY(SELECT a FROM m LIMIT 1)", "SELECT ARRAY[1, 2]"] {
        assert_eq!(rewritten(same), same);
    }
}
