//! The statements that the adapter and its driver send, read into parts. Anything else is a panic, and with it a failed test.

/// Where a value comes from: bound to the n-th marker, or written in the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    Marker(usize),
    Literal(String),
}

/// `left operator right`, where both sides may be tuples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub left: Vec<String>,
    pub operator: String,
    pub right: Vec<Term>,
}

impl Condition {
    /// The sides' parts in pairs.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &Term)> {
        self.left.iter().map(String::as_str).zip(&self.right)
    }
}

/// A column's definition: name, type, whether it is static.
pub type Definition = (String, String, bool);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// Names as they are; `writetime(x)` for a write time, `*` for all.
    Select {
        table: String,
        columns: Vec<String>,
        conditions: Vec<Condition>,
        limit: Option<usize>,
    },
    Insert {
        table: String,
        values: Vec<(String, Term)>,
        timestamp: Option<Term>,
        ttl: Option<Term>,
        if_not_exists: bool,
    },
    Update {
        table: String,
        values: Vec<(String, Term)>,
        conditions: Vec<Condition>,
        only_if: Vec<Condition>,
    },
    Delete {
        table: String,
        timestamp: Option<Term>,
        conditions: Vec<Condition>,
    },
    Create {
        table: String,
        columns: Vec<Definition>,
        partition: Vec<String>,
        clustering: Vec<String>,
        options: String,
    },
    CreateKeyspace,
    Drop {
        table: String,
    },
}

impl Statement {
    /// The columns whose values are bound, in the markers' order; `[timestamp]`, `[ttl]` and `token` for what is none.
    pub fn markers(&self) -> Vec<String> {
        let mut all: Vec<(usize, String)> = Vec::new();
        let mut note = |name: &str, term: &Term| {
            if let Term::Marker(n) = term {
                all.push((*n, name.to_owned()));
            }
        };
        match self {
            Self::Select { conditions, .. } => {
                for condition in conditions {
                    let is_list = condition.operator == "IN";
                    condition.pairs().for_each(|(name, term)| note(if is_list { "[list]" } else { name }, term));
                }
            }
            Self::Insert { values, timestamp, ttl, .. } => {
                values.iter().for_each(|(name, term)| note(name, term));
                timestamp.iter().for_each(|term| note("[timestamp]", term));
                ttl.iter().for_each(|term| note("[ttl]", term));
            }
            Self::Update { values, conditions, only_if, .. } => {
                values.iter().for_each(|(name, term)| note(name, term));
                conditions.iter().chain(only_if).flat_map(Condition::pairs).for_each(|(name, term)| note(name, term));
            }
            Self::Delete { timestamp, conditions, .. } => {
                timestamp.iter().for_each(|term| note("[timestamp]", term));
                conditions.iter().flat_map(Condition::pairs).for_each(|(name, term)| note(name, term));
            }
            Self::Create { .. } | Self::CreateKeyspace | Self::Drop { .. } => {}
        }
        all.sort_unstable();
        all.into_iter().map(|(_, name)| name).collect()
    }

    /// The table that it is about, without its keyspace; empty for a keyspace.
    pub fn table(&self) -> &str {
        match self {
            Self::Select { table, .. }
            | Self::Insert { table, .. }
            | Self::Update { table, .. }
            | Self::Delete { table, .. }
            | Self::Create { table, .. }
            | Self::Drop { table } => table,
            Self::CreateKeyspace => "",
        }
    }
}

/// Reads `cql`.
pub fn parse(cql: &str) -> Statement {
    let mut parser = Parser { tokens: tokens(cql), at: 0, markers: 0, cql };
    match parser.next().as_str() {
        "SELECT" => parser.select(),
        "INSERT" => parser.insert(),
        "UPDATE" => parser.update(),
        "DELETE" => parser.delete(),
        "CREATE" if parser.take("KEYSPACE") => Statement::CreateKeyspace,
        "CREATE" => parser.create(),
        "DROP" => {
            ["TABLE", "IF", "EXISTS"].iter().for_each(|word| parser.expect(word));
            Statement::Drop { table: parser.name() }
        }
        other => panic!("the peer knows no statement {other}: {cql}"),
    }
}

fn tokens(cql: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = cql.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' | '\'' => 2 + rest[1..].find(first).unwrap(),
            c if c.is_alphanumeric() || c == '_' => rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()),
            '<' | '>' if rest[1..].starts_with('=') => 2,
            c => c.len_utf8(),
        };
        let token = rest[..end].trim_matches('"');
        // The driver writes some words small.
        let is_word = matches!(token, "where" | "in" | "and");
        tokens.push(if is_word { token.to_uppercase() } else { token.to_owned() });
        rest = rest[end..].trim_start();
    }
    tokens
}

struct Parser<'a> {
    tokens: Vec<String>,
    at: usize,
    markers: usize,
    cql: &'a str,
}

impl Parser<'_> {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }

    fn next(&mut self) -> String {
        self.at += 1;
        self.tokens.get(self.at - 1).unwrap_or_else(|| panic!("the statement ends early: {}", self.cql)).clone()
    }

    fn take(&mut self, word: &str) -> bool {
        let is_there = self.peek() == word;
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, word: &str) {
        assert!(self.take(word), "{word} expected, not {}: {}", self.peek(), self.cql);
    }

    /// `keyspace.table` or `table`, as the table's name.
    fn name(&mut self) -> String {
        let first = self.next();
        if !self.take(".") {
            return first;
        }
        let table = self.next();
        if matches!(first.as_str(), "system" | "system_schema") { format!("{first}.{table}") } else { table }
    }

    fn term(&mut self) -> Term {
        match self.next().as_str() {
            "?" => {
                self.markers += 1;
                Term::Marker(self.markers - 1)
            }
            literal => Term::Literal(literal.trim_matches('\'').to_owned()),
        }
    }

    /// `a`, or `f(a)` as `f(a)`.
    fn operand(&mut self) -> String {
        let name = self.next();
        if !self.take("(") {
            return name;
        }
        let mut inner = Vec::new();
        while !self.take(")") {
            inner.push(self.next());
        }
        format!("{}({})", name.to_lowercase(), inner.concat())
    }

    fn conditions(&mut self) -> Vec<Condition> {
        let mut conditions = Vec::new();
        loop {
            if self.peek() == "(" {
                let (left, operator) = (self.list(), self.next());
                self.expect("(");
                let mut right = Vec::new();
                while !self.take(")") {
                    right.push(self.term());
                    self.take(",");
                }
                conditions.push(Condition { left, operator, right });
            } else {
                let (left, operator) = (vec![self.operand()], self.next());
                conditions.push(Condition { left, operator, right: vec![self.term()] });
            }
            if !self.take("AND") {
                return conditions;
            }
        }
    }

    fn select(&mut self) -> Statement {
        let mut columns = vec![self.operand()];
        while self.take(",") {
            columns.push(self.operand());
        }
        self.expect("FROM");
        let table = self.name();
        let conditions = if self.take("WHERE") { self.conditions() } else { Vec::new() };
        let limit = self.take("LIMIT").then(|| self.next().parse().unwrap());
        Statement::Select { table, columns, conditions, limit }
    }

    fn insert(&mut self) -> Statement {
        self.expect("INTO");
        let table = self.name();
        let names = self.list();
        self.expect("VALUES");
        self.expect("(");
        let mut values = Vec::new();
        for name in names {
            values.push((name, self.term()));
            self.take(",");
        }
        self.expect(")");
        let (mut timestamp, mut ttl, mut if_not_exists) = (None, None, false);
        while !self.peek().is_empty() {
            match self.next().as_str() {
                "USING" | "AND" => {}
                "TIMESTAMP" => timestamp = Some(self.term()),
                "TTL" => ttl = Some(self.term()),
                "IF" => {
                    ["NOT", "EXISTS"].iter().for_each(|word| self.expect(word));
                    if_not_exists = true;
                }
                other => panic!("the peer knows no {other}: {}", self.cql),
            }
        }
        Statement::Insert { table, values, timestamp, ttl, if_not_exists }
    }

    fn list(&mut self) -> Vec<String> {
        self.expect("(");
        let mut names = Vec::new();
        while !self.take(")") {
            names.push(self.next());
            self.take(",");
        }
        names
    }

    fn update(&mut self) -> Statement {
        let table = self.name();
        self.expect("SET");
        let mut values = Vec::new();
        loop {
            let name = self.next();
            self.expect("=");
            values.push((name, self.term()));
            if !self.take(",") {
                break;
            }
        }
        self.expect("WHERE");
        let conditions = self.conditions();
        let only_if = if self.take("IF") { self.conditions() } else { Vec::new() };
        Statement::Update { table, values, conditions, only_if }
    }

    fn delete(&mut self) -> Statement {
        self.expect("FROM");
        let table = self.name();
        let mut timestamp = None;
        if self.take("USING") {
            self.expect("TIMESTAMP");
            timestamp = Some(self.term());
        }
        self.expect("WHERE");
        Statement::Delete { table, timestamp, conditions: self.conditions() }
    }

    fn create(&mut self) -> Statement {
        ["TABLE", "IF", "NOT", "EXISTS"].iter().for_each(|word| self.expect(word));
        let table = self.name();
        self.expect("(");
        let mut columns = Vec::new();
        while !self.take("PRIMARY") {
            let (name, mut cql) = (self.next(), String::new());
            while !matches!(self.peek(), "," | "static") {
                cql.push_str(&self.next());
            }
            columns.push((name, cql, self.take("static")));
            self.expect(",");
        }
        self.expect("KEY");
        self.expect("(");
        let partition = self.list();
        let mut clustering = Vec::new();
        while self.take(",") {
            clustering.push(self.next());
        }
        self.expect(")");
        self.expect(")");
        self.expect("WITH");
        let options = self.tokens[self.at..].join(" ");
        Statement::Create { table, columns, partition, clustering, options }
    }
}
