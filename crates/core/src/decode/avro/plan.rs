//! Schema resolution: how a value of the writer's schema becomes one of a column's type, decided once for each schema.
//!
//! Fields are found by name, apart from upper and lower case where no name is exactly the same (as Spark does). What may become what: Avro's own
//! promotions (`int` and `long` to wider numbers, `string` and `bytes` to each other), integers to any integer column that holds the value, an enum to
//! its symbol, timestamps of any unit (cut to microseconds), a `long` without a logical type to a timestamp in milliseconds, as Spark reads it.

use std::sync::Arc;

use super::schema::{AvroSchema, Node};
use crate::decode::column::{ColumnType, Member};

/// How a value is read.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    Null,
    Boolean,
    /// `int` or `long` within these bounds; the type's name for one that isn't.
    Integer(i64, i64),
    /// `int` or `long` as a floating-point number.
    Promoted {
        single: bool,
    },
    Float,
    Double,
    /// Unscaled bytes: of a fixed, or with their length before them.
    Decimal {
        fixed: Option<usize>,
        from_scale: i8,
        precision: u8,
        scale: i8,
    },
    Text,
    Symbol(Arc<[String]>),
    Bytes(Option<usize>),
    Date,
    Timestamp {
        per_second: i64,
    },
    Array(Box<Plan>, ColumnType),
    Map(Box<Plan>, ColumnType),
    Struct(Box<Fields>, Vec<Member>),
    Union(Vec<Plan>),
    /// What the type can't hold: it is passed over, and doesn't fit.
    Unreadable {
        node: usize,
        why: String,
    },
}

/// The fields of a record, in the writer's order.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    /// For each: where its value goes and how it is read, or the node that is passed over.
    pub steps: Vec<FieldStep>,
}

#[derive(Clone, Debug)]
pub(super) enum FieldStep {
    Read { to: usize, plan: Plan },
    Skip { node: usize },
}

/// How records of `schema` become rows of `columns` (place, name, type, NOT NULL); why they can't.
pub(super) fn record(schema: &AvroSchema, columns: &[(usize, &str, &ColumnType, bool)]) -> Result<Fields, String> {
    let Node::Record(written) = schema.node(schema.root) else {
        return Err("its Avro schema is not a record".to_owned());
    };
    fields(schema, written, columns)
}

fn fields(schema: &AvroSchema, written: &[(String, usize)], wanted: &[(usize, &str, &ColumnType, bool)]) -> Result<Fields, String> {
    let found: Vec<Option<usize>> = wanted.iter().map(|(_, name, ..)| position(written, name)).collect();
    if let Some(((_, name, ..), _)) = wanted.iter().zip(&found).find(|((.., required), found)| *required && found.is_none()) {
        return Err(format!("column {name} is NOT NULL, and its Avro schema has no such field"));
    }
    let step = |(at, (name, node)): (usize, &(String, usize))| {
        let Some(to) = found.iter().position(|f| *f == Some(at)) else { return Ok(FieldStep::Skip { node: *node }) };
        let Some((column, _, kind, _)) = wanted.get(to) else { return Ok(FieldStep::Skip { node: *node }) };
        let plan = of(schema, *node, kind);
        match plan {
            // No value of this field can ever be read.
            Plan::Unreadable { why, .. } => Err(format!("field {name} of its Avro schema: {why}")),
            plan => Ok(FieldStep::Read { to: *column, plan }),
        }
    };
    Ok(Fields { steps: written.iter().enumerate().map(step).collect::<Result<_, String>>()? })
}

fn position(written: &[(String, usize)], wanted: &str) -> Option<usize> {
    let exact = written.iter().position(|(name, _)| name == wanted);
    exact.or_else(|| {
        let mut alike = written.iter().enumerate().filter(|(_, (name, _))| name.eq_ignore_ascii_case(wanted));
        match (alike.next(), alike.next()) {
            (Some((at, _)), None) => Some(at),
            _ => None,
        }
    })
}

/// How a value of the type at `node` becomes one of `kind`.
pub(super) fn of(schema: &AvroSchema, node: usize, kind: &ColumnType) -> Plan {
    let unreadable = |why: String| Plan::Unreadable { node, why };
    match (schema.node(node), kind) {
        (Node::Union(branches), _) => {
            let plans: Vec<Plan> = branches.iter().map(|branch| of(schema, *branch, kind)).collect();
            let readable = |plan: &Plan| !matches!(plan, Plan::Unreadable { .. } | Plan::Null);
            match plans.iter().find(|plan| matches!(plan, Plan::Unreadable { .. })) {
                Some(Plan::Unreadable { why, .. }) if !plans.iter().any(readable) => unreadable(why.clone()),
                _ => Plan::Union(plans),
            }
        }
        (Node::Null, _) => Plan::Null,
        (Node::Boolean, ColumnType::Boolean) => Plan::Boolean,
        (Node::Int | Node::Long, ColumnType::Integer(min, max)) => Plan::Integer(*min, *max),
        (Node::Int | Node::Long, ColumnType::Float) => Plan::Promoted { single: true },
        (Node::Int | Node::Long, ColumnType::Double) => Plan::Promoted { single: false },
        (Node::Float, ColumnType::Float | ColumnType::Double) => Plan::Float,
        (Node::Double, ColumnType::Double) => Plan::Double,
        (Node::Decimal { fixed, scale: from_scale, .. }, ColumnType::Decimal(precision, scale)) => {
            Plan::Decimal { fixed: *fixed, from_scale: *from_scale, precision: *precision, scale: *scale }
        }
        (Node::String | Node::Bytes, ColumnType::String) => Plan::Text,
        (Node::Enum(symbols), ColumnType::String) => Plan::Symbol(symbols.clone()),
        (Node::Bytes | Node::String | Node::Decimal { fixed: None, .. }, ColumnType::Binary) => Plan::Bytes(None),
        (Node::Fixed(size) | Node::Decimal { fixed: Some(size), .. }, ColumnType::Binary) => Plan::Bytes(Some(*size)),
        (Node::Date, ColumnType::Date(_)) => Plan::Date,
        (Node::Timestamp { per_second, local }, ColumnType::Timestamp { zoned, .. }) if local != zoned => {
            Plan::Timestamp { per_second: *per_second }
        }
        (Node::Long, ColumnType::Timestamp { .. }) => Plan::Timestamp { per_second: 1_000 },
        (Node::Array(item), ColumnType::Array(wanted)) => match of(schema, *item, wanted) {
            Plan::Unreadable { why, .. } => unreadable(format!("its items: {why}")),
            plan => Plan::Array(Box::new(plan), wanted.as_ref().clone()),
        },
        (Node::Map(value), ColumnType::Map(key, wanted)) if **key == ColumnType::String => match of(schema, *value, wanted) {
            Plan::Unreadable { why, .. } => unreadable(format!("its values: {why}")),
            plan => Plan::Map(Box::new(plan), wanted.as_ref().clone()),
        },
        (Node::Record(written), ColumnType::Struct(members)) => {
            let wanted: Vec<_> = members.iter().enumerate().map(|(at, m)| (at, m.name.as_str(), &m.kind, m.required)).collect();
            match fields(schema, written, &wanted) {
                Ok(fields) => Plan::Struct(Box::new(fields), members.clone()),
                Err(why) => unreadable(why),
            }
        }
        (written, kind) => unreadable(format!("{} can't become {}", word(written), kind.sql_name())),
    }
}

/// What the specification calls a type.
fn word(node: &Node) -> &'static str {
    match node {
        Node::Null => "null",
        Node::Boolean => "boolean",
        Node::Int => "int",
        Node::Long => "long",
        Node::Float => "float",
        Node::Double => "double",
        Node::Bytes => "bytes",
        Node::String => "string",
        Node::Fixed(_) => "fixed",
        Node::Enum(_) => "enum",
        Node::Array(_) => "array",
        Node::Map(_) => "map",
        Node::Union(_) => "union",
        Node::Record(_) => "record",
        Node::Decimal { .. } => "decimal",
        Node::Date => "date",
        Node::Timestamp { local: false, .. } => "timestamp",
        Node::Timestamp { local: true, .. } => "local timestamp",
    }
}
