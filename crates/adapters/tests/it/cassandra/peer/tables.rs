//! The peer's tables: rows by key, of which the greater write timestamp stands, static columns, conditional writes, what `system_schema` says
//! of them, and the change feed that Cosmos DB keeps of each: the latest version of every row that was written, no deletes, with a
//! continuation that never ends. No TTL, and no order but the ascending one.

use std::collections::{BTreeMap, HashMap};

use super::cql::{Condition, Statement, Term};
use super::frame::{Bound, Parameters};

/// A value, null or not.
pub type Cell = Option<Vec<u8>>;
/// Names and types of a result's columns.
pub type Columns = Vec<(String, String)>;

/// What a statement gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Void,
    SchemaChange { kind: &'static str, table: String },
    Rows { columns: Columns, rows: Vec<Vec<Cell>>, next: Option<Vec<u8>> },
}

#[derive(Default)]
struct Row {
    cells: BTreeMap<String, Vec<u8>>,
    timestamp: i64,
}

/// A column as `system_schema.columns` has it: name, type, kind, position.
type Described = (String, String, &'static str, i32);

#[derive(Default)]
pub struct Table {
    columns: Vec<Described>,
    key: Vec<String>,
    /// Everything that was written behind WITH.
    pub options: String,
    id: u8,
    rows: BTreeMap<Vec<Vec<u8>>, Row>,
    /// By partition key.
    statics: BTreeMap<Vec<Vec<u8>>, BTreeMap<String, Vec<u8>>>,
    deleted: HashMap<Vec<Vec<u8>>, i64>,
    /// The keys of the rows in the order in which they were written.
    changes: Vec<Vec<Vec<u8>>>,
}

/// A keyspace's tables.
#[derive(Default)]
pub struct Tables {
    pub tables: BTreeMap<String, Table>,
    /// Whether they are Cosmos DB's, which takes no comments.
    pub is_cosmos_db: bool,
    created: u8,
}

/// The values of a statement's terms.
struct Values<'a>(&'a [Bound]);

impl Values<'_> {
    fn of(&self, term: &Term, cql: &str) -> Bound {
        match term {
            Term::Marker(n) => self.0[*n].clone(),
            Term::Literal(text) => match cql {
                "bigint" => Bound::Bytes(text.parse::<i64>().unwrap().to_be_bytes().to_vec()),
                "tinyint" => Bound::Bytes(text.parse::<i8>().unwrap().to_be_bytes().to_vec()),
                _ => Bound::Bytes(text.as_bytes().to_vec()),
            },
        }
    }

    fn bigint(&self, term: &Term) -> i64 {
        i64::from_be_bytes(self.of(term, "bigint").bytes().unwrap().try_into().unwrap())
    }
}

impl Tables {
    /// The type of a column, or of what stands in its place.
    pub fn type_of(&self, table: &str, column: &str) -> String {
        let fixed = match column {
            "[timestamp]" => "bigint",
            "[ttl]" => "int",
            "[list]" => "list<text>",
            name if name.starts_with("token(") || name.starts_with("writetime(") => "bigint",
            _ if table.starts_with("system") => system_type(column),
            _ => "",
        };
        if !fixed.is_empty() {
            return fixed.to_owned();
        }
        let found = self.tables.get(table).and_then(|t| t.columns.iter().find(|c| c.0 == column));
        found.unwrap_or_else(|| panic!("there is no column {table}.{column}")).1.clone()
    }

    pub fn expire(&mut self, table: &str) {
        self.tables.get_mut(table).unwrap().rows.clear();
    }

    pub fn run(&mut self, statement: &Statement, parameters: &Parameters) -> Outcome {
        let values = Values(&parameters.values);
        match statement {
            Statement::Select { table, columns, conditions, .. } if table.starts_with("system") => {
                self.system(table, columns, conditions, &values)
            }
            Statement::Select { table, columns, conditions, limit } => self.select(table, columns, conditions, *limit, parameters),
            Statement::Insert { table, values: named, timestamp, if_not_exists, .. } => {
                let timestamp = timestamp.as_ref().map_or(0, |t| values.bigint(t));
                let bound: Vec<(String, Bound)> =
                    named.iter().map(|(name, term)| (name.clone(), values.of(term, &self.type_of(table, name)))).collect();
                let table = self.tables.get_mut(table).unwrap();
                let key = table.key_of(&bound);
                if *if_not_exists && table.rows.contains_key(&key) {
                    return applied(false);
                }
                table.put(key, bound, timestamp);
                if *if_not_exists { applied(true) } else { Outcome::Void }
            }
            Statement::Update { table, values: named, conditions, only_if } => {
                let bound = |name: &str, term: &Term| (name.to_owned(), values.of(term, &self.type_of(table, name)));
                let changes: Vec<_> = named.iter().map(|(name, term)| bound(name, term)).collect();
                let key: Vec<_> = conditions.iter().flat_map(Condition::pairs).map(|(name, term)| bound(name, term)).collect();
                let wanted: Vec<_> = only_if.iter().flat_map(Condition::pairs).map(|(name, term)| bound(name, term)).collect();
                let table = self.tables.get_mut(table).unwrap();
                let key = table.key_of(&key);
                let holds =
                    table.rows.contains_key(&key) && wanted.iter().all(|(name, value)| table.cell(&key, name).as_deref() == value.bytes());
                if holds {
                    changes.into_iter().for_each(|(name, value)| table.set(&key, name, &value));
                }
                applied(holds)
            }
            Statement::Delete { table, timestamp, conditions } => {
                let timestamp = timestamp.as_ref().map_or(i64::MAX, |t| values.bigint(t));
                let key: Vec<_> =
                    conditions.iter().flat_map(Condition::pairs).map(|(name, term)| (name.to_owned(), values.of(term, "text"))).collect();
                self.tables.get_mut(table).unwrap().delete(&key, timestamp);
                Outcome::Void
            }
            Statement::Create { table, columns, partition, clustering, options } => {
                self.created += 1;
                let described = |(name, cql, is_static): &(String, String, bool)| -> Described {
                    let place = |of: &[String]| of.iter().position(|n| n == name).and_then(|p| i32::try_from(p).ok());
                    match (place(partition), place(clustering)) {
                        (Some(at), _) => (name.clone(), cql.clone(), "partition_key", at),
                        (_, Some(at)) => (name.clone(), cql.clone(), "clustering", at),
                        _ => (name.clone(), cql.clone(), if *is_static { "static" } else { "regular" }, -1),
                    }
                };
                let made = Table {
                    columns: columns.iter().map(described).collect(),
                    key: [partition.clone(), clustering.clone()].concat(),
                    options: options.clone(),
                    id: self.created,
                    ..Table::default()
                };
                self.tables.entry(table.clone()).or_insert(made);
                Outcome::SchemaChange { kind: "CREATED", table: table.clone() }
            }
            Statement::CreateKeyspace => Outcome::Void,
            Statement::Drop { table } => {
                self.tables.remove(table);
                Outcome::SchemaChange { kind: "DROPPED", table: table.clone() }
            }
        }
    }

    fn system(&self, table: &str, columns: &[String], conditions: &[Condition], values: &Values<'_>) -> Outcome {
        let named = |name: &str| {
            let term = conditions.iter().flat_map(Condition::pairs).find(|(left, _)| *left == name).map(|(_, term)| term);
            term.map(|term| String::from_utf8(values.of(term, "text").bytes().unwrap().to_vec()).unwrap()).unwrap_or_default()
        };
        let text = |text: &str| Some(text.as_bytes().to_vec());
        let all: Vec<HashMap<&str, Cell>> = match table {
            "system.local" => vec![HashMap::from([
                ("host_id", Some(vec![7; 16])),
                ("schema_version", Some(vec![1; 16])),
                ("rpc_address", Some(vec![127, 0, 0, 1])),
                ("data_center", text("datacenter1")),
                ("rack", text("rack1")),
                ("cluster_name", text("peer")),
                ("release_version", text("3.11.0")),
                ("tokens", Some([&1_i32.to_be_bytes()[..], &1_i32.to_be_bytes(), b"0"].concat())),
            ])],
            // What the driver asks for whole keyspaces: it knows none, and goes without.
            _ if conditions.iter().any(|c| c.operator == "IN") => Vec::new(),
            "system_schema.keyspaces" => vec![HashMap::from([("keyspace_name", text(&named("keyspace_name")))])],
            "system_schema.tables" => {
                let found = self.tables.get(&named("table_name"));
                let comment = |t: &Table| if self.is_cosmos_db { String::new() } else { t.comment() };
                found.map(|t| HashMap::from([("id", Some(vec![t.id; 16])), ("comment", text(&comment(t)))])).into_iter().collect()
            }
            "system_schema.columns" => {
                let described = self.tables.get(&named("table_name")).map(|t| t.columns.clone()).unwrap_or_default();
                let row = |(name, cql, kind, position): &Described| {
                    HashMap::from([
                        ("column_name", text(name)),
                        ("type", text(cql)),
                        ("kind", text(kind)),
                        ("position", Some(position.to_be_bytes().to_vec())),
                        ("clustering_order", text(if *kind == "clustering" { "asc" } else { "none" })),
                    ])
                };
                described.iter().map(row).collect()
            }
            _ => Vec::new(),
        };
        let rows = all.iter().map(|row| columns.iter().map(|c| row.get(c.as_str()).cloned().flatten()).collect()).collect();
        let columns = columns.iter().map(|c| (c.clone(), system_type(c).to_owned())).collect();
        Outcome::Rows { columns, rows, next: None }
    }

    fn select(&self, name: &str, columns: &[String], conditions: &[Condition], limit: Option<usize>, parameters: &Parameters) -> Outcome {
        let (table, values) = (&self.tables[name], Values(&parameters.values));
        let names: Vec<String> = match columns {
            [all] if all == "*" => table.columns.iter().map(|c| c.0.clone()).collect(),
            named => named.to_vec(),
        };
        let cells = |key: &Vec<Vec<u8>>| names.iter().map(|n| table.cell(key, n)).collect::<Vec<Cell>>();
        let columns: Columns = names.iter().map(|n| (n.clone(), self.type_of(name, n))).collect();
        let page = usize::try_from(parameters.page_size.unwrap_or(i32::MAX)).unwrap();
        let state = parameters.paging_state.as_ref().map(|s| u64::from_be_bytes(s.as_slice().try_into().unwrap()));
        let from = usize::try_from(state.unwrap_or(0)).unwrap();
        let is_feed = conditions.iter().any(|c| c.left == ["cosmos_changefeed_start_time()"]);
        let found: Vec<&Vec<Vec<u8>>> = if is_feed {
            table.changes.iter().collect()
        } else {
            table.rows.keys().filter(|key| table.meets(key, conditions, &values)).take(limit.unwrap_or(usize::MAX)).collect()
        };
        let end = found.len().min(from.saturating_add(page));
        let here = found.iter().enumerate().take(end).skip(from);
        // Of a row that was written again only the latest version is in the feed.
        let is_latest = |at: usize, key: &Vec<Vec<u8>>| !is_feed || !table.changes[at + 1..].contains(key);
        let rows = here.filter(|(at, key)| is_latest(*at, key) && table.rows.contains_key(**key)).map(|(_, key)| cells(key)).collect();
        let next = (is_feed || end < found.len()).then(|| (end as u64).to_be_bytes().to_vec());
        Outcome::Rows { columns, rows, next }
    }
}

/// A value as it is ordered: numbers by their sign first.
fn ordered(value: &[u8], cql: &str) -> Vec<u8> {
    let mut bytes = value.to_vec();
    if matches!(cql, "bigint" | "int" | "tinyint" | "timestamp") && !bytes.is_empty() {
        bytes[0] ^= 0x80;
    }
    bytes
}

impl Table {
    fn comment(&self) -> String {
        let (_, rest) = self.options.split_once("comment = '").unwrap_or_default();
        rest.split('\'').next().unwrap_or_default().to_owned()
    }

    fn described(&self, name: &str) -> &Described {
        self.columns.iter().find(|c| c.0 == name).unwrap_or_else(|| panic!("there is no column {name}"))
    }

    fn key_of(&self, values: &[(String, Bound)]) -> Vec<Vec<u8>> {
        let of = |name: &String| {
            let value = values.iter().find(|(n, _)| n == name).and_then(|(_, v)| v.bytes()).unwrap_or_default();
            ordered(value, &self.described(name).1)
        };
        self.key.iter().map(of).collect()
    }

    fn partition_of(&self, key: &[Vec<u8>]) -> Vec<Vec<u8>> {
        key[..self.columns.iter().filter(|c| c.2 == "partition_key").count()].to_vec()
    }

    fn put(&mut self, key: Vec<Vec<u8>>, values: Vec<(String, Bound)>, timestamp: i64) {
        let is_older = self.rows.get(&key).is_some_and(|r| r.timestamp > timestamp);
        if is_older || self.deleted.get(&key).is_some_and(|d| *d >= timestamp && timestamp > 0) {
            return;
        }
        self.rows.entry(key.clone()).or_default().timestamp = timestamp;
        values.into_iter().for_each(|(name, value)| self.set(&key, name, &value));
        self.changes.push(key);
    }

    fn set(&mut self, key: &[Vec<u8>], name: String, value: &Bound) {
        let cells = if self.described(&name).2 == "static" {
            self.statics.entry(self.partition_of(key)).or_default()
        } else {
            &mut self.rows.entry(key.to_vec()).or_default().cells
        };
        match value {
            Bound::Bytes(bytes) => drop(cells.insert(name, bytes.clone())),
            Bound::Null => drop(cells.remove(&name)),
            Bound::Unset => {}
        }
    }

    fn cell(&self, key: &[Vec<u8>], name: &str) -> Cell {
        let row = self.rows.get(key)?;
        if name.starts_with("writetime(") {
            return Some(row.timestamp.to_be_bytes().to_vec());
        }
        match self.described(name).2 {
            "static" => self.statics.get(&self.partition_of(key))?.get(name).cloned(),
            _ => row.cells.get(name).cloned(),
        }
    }

    /// Deletes the rows whose key begins with the values `of`.
    fn delete(&mut self, of: &[(String, Bound)], timestamp: i64) {
        let whole = self.key_of(of);
        let prefix = &whole[..of.len()];
        self.rows.retain(|key, row| !key.starts_with(prefix) || row.timestamp > timestamp);
        self.deleted.insert(whole, timestamp);
    }

    /// Ranges of tokens are the whole table for the first one, and nothing for the others.
    fn meets(&self, key: &[Vec<u8>], conditions: &[Condition], values: &Values<'_>) -> bool {
        conditions.iter().all(|c| {
            if c.left[0].starts_with("token(") {
                return c.operator != ">" || values.bigint(&c.right[0]) == i64::MIN;
            }
            let of = |(name, term): (&str, &Term)| {
                let cql = &self.described(name).1;
                let is = self.cell(key, name).map(|cell| ordered(&cell, cql));
                (is, values.of(term, cql).bytes().map(|bytes| ordered(bytes, cql)))
            };
            let (is, wanted): (Vec<_>, Vec<_>) = c.pairs().map(of).unzip();
            match c.operator.as_str() {
                "=" => is == wanted,
                ">" => is > wanted,
                "<=" => is <= wanted,
                other => panic!("the peer knows no {other}"),
            }
        })
    }
}

/// The answer to a conditional write.
fn applied(is_applied: bool) -> Outcome {
    Outcome::Rows { columns: vec![("[applied]".into(), "boolean".into())], rows: vec![vec![Some(vec![u8::from(is_applied)])]], next: None }
}

fn system_type(column: &str) -> &'static str {
    match column {
        "host_id" | "schema_version" | "id" => "uuid",
        "rpc_address" => "inet",
        "tokens" => "set<text>",
        "position" => "int",
        "replication" => "map<text,text>",
        "durable_writes" => "boolean",
        "field_names" | "field_types" => "list<text>",
        _ => "text",
    }
}
